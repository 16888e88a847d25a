// Clients of a server come, go, and crowd; its socket has a name.
#include <fcntl.h>
#include <sys/stat.h>

#include "support/raw_client.h"

namespace ismio {
namespace {

using device::Handled;
using test::Body;
using test::bodyOf;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::Happening;
using vfio_user::Listener;

TEST_CASE("a second client is refused with EBUSY, and the first not disturbed") {
  Served served;
  RawClient first(served);
  for (int i = 0; i < 3; i++) {
    RawClient second(served, false);
    CHECK(second.call(Command::version, bodyOf(vfio_user::Version{0, 1})) == EBUSY);
    CHECK_FALSE(second.receive(second.reply));
    CHECK(first.sound());
  }
  CHECK(served.server->counts().turnedAway == 3);
  CHECK(served.server->counts().clients == 1);
}

TEST_CASE("clients that are turned away and say nothing, or more than that, are closed") {
  Served served;
  RawClient first(served);
  std::vector<std::unique_ptr<RawClient>> silent(40);
  for (auto& one : silent) one = std::make_unique<RawClient>(served, false);
  for (const auto& one : silent) CHECK_FALSE(one->receive(one->reply, 3000));
  RawClient broken(served, false);
  broken.sendBytes(Body(16, 0xff));
  CHECK_FALSE(broken.receive(broken.reply));
  CHECK(first.sound());
}

TEST_CASE("a function that somebody has open is refused as well, until it is given back") {
  Served served;
  served.function->taken = true;
  {
    RawClient client(served, false);
    CHECK(client.call(Command::version, bodyOf(vfio_user::Version{0, 1})) == EBUSY);
  }
  served.function->taken = false;
  CHECK(RawClient(served).sound());
}

TEST_CASE("a client that never negotiates is let go of") {
  Served served;
  RawClient silent(served, false);
  CHECK_FALSE(silent.receive(silent.reply, 6000));
  RawClient next(served);
  CHECK(next.sound());
  served.script.until(Handled::arrived, 1);
  CHECK(served.script.asked().size() == 1);  // of the silent one nothing was told
}

TEST_CASE("what a client had goes with it, and JavaScript is told of its coming and going") {
  Served served;
  const size_t before = test::openDescriptors();
  {
    RawClient client(served);
    const int file = memfd_create("client", MFD_CLOEXEC);
    const int vector = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(ftruncate(file, 4096) == 0);
    const vfio_user::DmaMapRequest asked{32, 3, 0, 0, 4096};
    REQUIRE(client.call(Command::dmaMap, bodyOf(asked), {file}) == 0);
    REQUIRE(client.call(Command::deviceSetIrqs,
                        bodyOf(uint32_t{20}, uint32_t{0x24}, uint32_t{2}, uint32_t{0}, uint32_t{1}), {vector}) == 0);
    close(vector);
    close(file);
  }
  served.until(Happening::gone);
  CHECK(served.function->dma.mappings() == 0);
  CHECK(test::openDescriptors() == before);
  served.script.until(Handled::gone, 1);
  RawClient next(served);
  CHECK(next.sound());
  served.script.run([] {});
  const std::vector<test::Asked> asked = served.script.asked();
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].kind == Handled::arrived);
  CHECK(asked[1].kind == Handled::gone);
  CHECK(asked[2].kind == Handled::arrived);
}

TEST_CASE("what a client posted before it closed takes effect, and comes before its going") {
  Served served;
  {
    RawClient client(served);
    client.post(0, test::kSlow, Body(4));
    for (int i = 1; i <= 100; i++) client.post(0, 0x40, bodyOf(i));
  }
  served.script.until(Handled::gone, 1);
  RawClient next(served);
  REQUIRE(next.read(0, 0x40, 4) == 0);
  CHECK(next.data() == bodyOf(100));
}

TEST_CASE("a client that goes while a promise is pending leaves nothing behind for the next") {
  Served served;
  {
    RawClient client(served);
    client.send(Command::regionRead, bodyOf(vfio_user::RegionAccess{test::kPromises, 0, 4}));
    client.post(0, 0x40, bodyOf(1));
    served.script.until(Handled::load, 1);
  }
  served.script.until(Handled::gone, 1);
  RawClient next(served);
  served.script.keep();
  REQUIRE(next.read(0, 0x40, 4) == 0);
  CHECK(next.data() == bodyOf(0));
}

TEST_CASE("a thousand clients that vanish, some in the middle of a message, leave nothing behind") {
  Served served;
  size_t gone = 0;
  size_t before = 0;
  for (int i = 0; i < 1000; i++) {
    RawClient client(served, i % 5 != 0);
    if (i % 5 != 0) {
      const int file = memfd_create("client", MFD_CLOEXEC);
      REQUIRE(ftruncate(file, 8192) == 0);
      client.send(Command::dmaMap, bodyOf(vfio_user::DmaMapRequest{32, 3, 0, 0, 8192}), {file});
      client.send(Command::regionRead, bodyOf(vfio_user::RegionAccess{0x40, 0, 64}));
      client.post(0, 0x40, Body(512));
      close(file);
    }
    if (i % 3 == 0) client.sendBytes(Body(7, 1));
    client.hangUp();
    served.until(Happening::gone, ++gone);
    if (i == 10) before = test::openDescriptors();
  }
  CHECK(served.function->dma.mappings() == 0);
  CHECK(test::openDescriptors() == before);
  CHECK(RawClient(served).sound());
}

TEST_CASE("a server that ends while a client is there closes it") {
  Served served;
  RawClient client(served);
  client.send(Command::regionRead, bodyOf(vfio_user::RegionAccess{test::kPromises, 0, 4}));
  served.script.until(Handled::load, 1);
  served.server.reset();
  CHECK_FALSE(client.receive(client.reply));
  served.script.keep();
}

TEST_CASE("the client's process is known") {
  Served served;
  RawClient client(served);
  const vfio_user::Event event = served.until(Happening::client);
  CHECK(event.process == getpid());
  CHECK(event.user == geteuid());
}

TEST_CASE("the socket has the rights that were asked for, whatever the umask") {
  Served served;
  struct stat status;
  REQUIRE(stat(served.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  Listener::Problem problem;
  const std::string path = served.path() + "2";
  for (const mode_t mask : {0000, 0022, 0777}) {
    const mode_t before = umask(mask);
    const auto listener = Listener::open(path, 0660, problem);
    umask(before);
    REQUIRE(listener != nullptr);
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
  }
}

TEST_CASE("a name is taken where nobody listens any more, and left alone otherwise") {
  Served served;
  Listener::Problem problem;
  CHECK(Listener::open(served.path(), 0600, problem) == nullptr);
  CHECK(problem.errorNumber == EADDRINUSE);
  CHECK(RawClient(served).sound());
  // Left behind by a process that was killed.
  const std::string stale = served.path() + "-stale";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, stale.c_str(), stale.size());
  const int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  close(left);
  CHECK(Listener::open(stale, 0600, problem) != nullptr);
  CHECK(access(stale.c_str(), F_OK) != 0);
  // Something else.
  const std::string file = served.path() + "-file";
  close(open(file.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
  CHECK(Listener::open(file, 0600, problem) == nullptr);
  CHECK(problem.errorNumber == EEXIST);
  CHECK(unlink(file.c_str()) == 0);
  CHECK(Listener::open(std::string(200, 'x'), 0600, problem) == nullptr);
  CHECK(problem.errorNumber == ENAMETOOLONG);
  CHECK(Listener::open("/no/such/folder/socket", 0600, problem) == nullptr);
  CHECK(problem.errorNumber == ENOENT);
}

TEST_CASE("a socket that somebody replaced meanwhile is not unlinked") {
  Served served;
  Listener::Problem problem;
  const std::string path = served.path() + "2";
  auto first = Listener::open(path, 0600, problem);
  REQUIRE(first != nullptr);
  REQUIRE(unlink(path.c_str()) == 0);
  const auto second = Listener::open(path, 0600, problem);
  REQUIRE(second != nullptr);
  first.reset();
  CHECK(access(path.c_str(), F_OK) == 0);
}

}  // namespace
}  // namespace ismio
