// The server's side of vfio-user: the version, what it says of the function, and messages that are not as they have to
// be. Each of those is answered, or the client is let go of; what comes behind it is never misread.
#include <linux/vfio.h>

#include <string>

#include "support/raw_client.h"
#include "vfio-user/capabilities.h"

namespace ismio {
namespace {

using test::Body;
using test::bodyOf;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::Header;
using vfio_user::kError;
using vfio_user::kNoReply;
using vfio_user::kReply;
using vfio_user::Version;

Body versionWith(const std::string& text, uint16_t major = 0, uint16_t minor = 0) {
  Body body = bodyOf(Version{major, minor});
  body.insert(body.end(), text.begin(), text.end());
  return body;
}

const std::string kNul(1, '\0');

TEST_CASE("a version is answered with ours and what we can, as JSON that ends in a NUL") {
  Served served(77);
  RawClient client(served, false);
  REQUIRE(client.call(Command::version, versionWith(R"({"capabilities":{"max_msg_fds":8}})" + kNul)) == 0);
  Version version{};
  REQUIRE(vfio_user::structOf(client.reply, version));
  CHECK(version.major == 0);
  CHECK(version.minor == 0);
  const std::string text(client.reply.payload.begin() + sizeof version, client.reply.payload.end());
  CHECK(text == R"({"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"max_dma_maps":77,)"
                R"("pgsizes":4096,"write_multiple":true}})" +
                    kNul);
}

TEST_CASE("a minor version above ours becomes ours, one below is kept") {
  Served served;
  for (const uint16_t minor : {0, 1, 2, 65535}) {
    RawClient client(served, false);
    REQUIRE(client.call(Command::version, bodyOf(Version{0, minor})) == 0);
    Version version{};
    REQUIRE(vfio_user::structOf(client.reply, version));
    CHECK(version.minor == std::min<uint16_t>(minor, 1));
    client.hangUp();
    served.until(vfio_user::Happening::gone, minor == 65535 ? 4 : minor + 1u);
  }
}

TEST_CASE("a version that cannot be agreed on is refused, and the client let go of") {
  const std::string deep(100, '[');
  const Body refused[] = {
      {},
      {0, 0, 0},
      bodyOf(Version{1, 0}),
      versionWith("{}"),  // no NUL
      versionWith("nonsense" + kNul),
      versionWith("{\"capabilities\":{}" + kNul),
      versionWith("{\"capabilities\":{}} more" + kNul),
      versionWith("{\"capabilities\":[]}" + kNul),
      versionWith("{\"capabilities\":{\"max_msg_fds\":-1}}" + kNul),
      versionWith("{\"capabilities\":{\"max_msg_fds\":1.5}}" + kNul),
      versionWith("{\"capabilities\":{\"max_msg_fds\":\"8\"}}" + kNul),
      versionWith("{\"capabilities\":{\"max_data_xfer_size\":0}}" + kNul),
      versionWith("{\"capabilities\":{\"max_data_xfer_size\":99999999999999999999999}}" + kNul),
      versionWith("{\"capabilities\":{\"write_multiple\":1}}" + kNul),
      versionWith("{\"other\":" + deep + kNul),
      versionWith("{\"other\":\"\\" + kNul),
  };
  Served served;
  size_t gone = 0;
  for (const Body& body : refused) {
    CAPTURE(std::string(body.begin(), body.end()));
    RawClient client(served, false);
    CHECK(client.call(Command::version, body) == EINVAL);
    CHECK_FALSE(client.receive(client.reply));
    served.until(vfio_user::Happening::gone, ++gone);
  }
  CHECK(RawClient(served).sound());
}

TEST_CASE("capabilities that are not known are passed over, whatever they hold") {
  Served served;
  RawClient client(served, false);
  const std::string text = R"( { "a" : [ 1 , -2.5e+3 , "\"", null, [], {} ] , "capabilities" : { "migration" : )"
                           R"({ "pgsize" : 4096 } , "max_data_xfer_size" : 4096 , "write_multiple":false } } )";
  CHECK(client.call(Command::version, versionWith(text + kNul)) == 0);
  CHECK(client.sound());
}

TEST_CASE("the version comes first, and once") {
  Served served;
  {
    RawClient client(served, false);
    CHECK(client.call(Command::deviceGetInfo, bodyOf(uint32_t{16}, uint32_t{0}, uint64_t{0})) == EINVAL);
    CHECK_FALSE(client.receive(client.reply));
  }
  served.until(vfio_user::Happening::gone);
  RawClient client(served);
  CHECK(client.call(Command::version, bodyOf(Version{0, 1})) == EINVAL);
  CHECK(client.sound());
}

TEST_CASE("commands that are not known are answered with ENOSYS") {
  Served served;
  RawClient client(served);
  for (const uint16_t command : {0, 14, 17, 18, 19, 4095, 65535}) {
    CHECK(client.call(static_cast<Command>(command), {}) == ENOSYS);
    CHECK(client.call(static_cast<Command>(command), Body(100)) == ENOSYS);
  }
  // Those that a server sends.
  CHECK(client.call(Command::dmaRead, bodyOf(vfio_user::DmaAccess{0, 8})) == ENOSYS);
  CHECK(client.call(Command::dmaWrite, bodyOf(vfio_user::DmaAccess{0, 8}, uint64_t{1})) == ENOSYS);
  CHECK(client.sound());
}

TEST_CASE("payloads that are too short or too long are refused, and the stream stays in step") {
  struct Shape {
    size_t exact;
    Command command;
    bool longer;  // is refused as well
  };
  const Shape shapes[] = {
      {32, Command::dmaMap, true},
      {24, Command::dmaUnmap, true},
      {16, Command::deviceGetInfo, false},
      {32, Command::deviceGetRegionInfo, false},
      {16, Command::deviceGetRegionIoFds, false},
      {16, Command::deviceGetIrqInfo, false},
      {20, Command::deviceSetIrqs, true},
      {16, Command::regionRead, true},
      {16, Command::regionWrite, true},
      {8, Command::regionWriteMulti, true},
      {8, Command::deviceFeature, false},
  };
  Served served;
  RawClient client(served);
  for (const Shape& shape : shapes) {
    for (size_t length = 0; length < shape.exact; length++) {
      CHECK(client.call(shape.command, Body(length)) == EINVAL);
    }
    for (const size_t more : {1, 7, 4096}) {
      if (shape.longer) CHECK(client.call(shape.command, Body(shape.exact + more)) == EINVAL);
    }
    CHECK(client.sound());
  }
  CHECK(client.call(Command::deviceReset, Body(1)) == EINVAL);
  CHECK(client.call(Command::deviceReset, {}) == 0);
}

TEST_CASE("a size that no message has ends the connection") {
  Served served;
  size_t gone = 0;
  for (const uint32_t size : {0u, 1u, 15u, vfio_user::kLongestMessage + 1, UINT32_MAX}) {
    RawClient client(served);
    client.sendBytes(bodyOf(Header{1, Command::deviceReset, size, 0, 0}, Body(64)));
    CHECK_FALSE(client.receive(client.reply));
    served.until(vfio_user::Happening::gone, ++gone);
  }
  CHECK(RawClient(served).sound());
}

TEST_CASE("a message comes whole, however it is cut") {
  Served served;
  RawClient client(served);
  const Header header{99, Command::deviceGetInfo, 32, 0, 0};
  const Body message = bodyOf(header, uint32_t{16}, uint32_t{0}, uint64_t{0});
  for (const uint8_t byte : message) {
    client.sendBytes({byte});
    std::this_thread::yield();
  }
  REQUIRE(client.receive(client.reply));
  CHECK(client.reply.header.id == 99);
  // Three and a half in one piece.
  Body many = bodyOf(message, message, message);
  many.insert(many.end(), message.begin(), message.begin() + 16);
  client.sendBytes(many);
  for (int i = 0; i < 3; i++) CHECK(client.receive(client.reply));
  client.sendBytes({message.begin() + 16, message.end()});
  CHECK(client.receive(client.reply));
  CHECK(client.sound());
}

TEST_CASE("replies that nobody waits for are counted, and never answered") {
  Served served;
  RawClient client(served);
  for (const uint16_t command : {0, 1, 9, 11, 12, 99}) {
    client.send(static_cast<Command>(command), Body(24), {}, kReply);
    client.send(static_cast<Command>(command), {}, {}, kReply | kError);
  }
  CHECK(client.sound());
  CHECK(served.server->counts().unexpected == 12);
}

TEST_CASE("types that are neither command nor reply are refused") {
  Served served;
  RawClient client(served);
  for (uint32_t type = 2; type < 16; type++) {
    client.send(Command::deviceReset, {}, {}, type);
    REQUIRE(client.receive(client.reply));
    CHECK(client.reply.header.flags == (kReply | kError));
    CHECK(client.reply.header.error == EINVAL);
  }
  CHECK(client.sound());
}

TEST_CASE("what is posted has no reply, whether it went well or not") {
  Served served;
  RawClient client(served);
  client.send(Command::deviceGetInfo, bodyOf(uint32_t{16}, uint32_t{0}, uint64_t{0}), {}, kNoReply);
  client.send(Command::deviceGetInfo, {}, {}, kNoReply);
  client.send(static_cast<Command>(77), {}, {}, kNoReply);
  client.send(Command::regionRead, bodyOf(vfio_user::RegionAccess{0, 0, 8}), {}, kNoReply);
  client.send(Command::dmaMap, {}, {}, kNoReply);
  client.send(Command::deviceReset, {}, {}, kNoReply);
  client.post(0, test::kRefuses, Body(4));
  client.post(0, 8, Body(4));
  CHECK(client.sound());
  CHECK(client.read(0, 8, 4) == 0);
  CHECK(served.server->counts().refused == 4);
  CHECK(served.until(vfio_user::Happening::refused, 4).error == EIO);
}

TEST_CASE("the function says what it is, in as much as there is room for") {
  Served served;
  RawClient client(served);
  vfio_device_info info{};
  const auto ask = [&](uint32_t argsz) {
    return client.call(Command::deviceGetInfo, bodyOf(argsz, uint32_t{0}, uint64_t{0}));
  };
  CHECK(ask(0) == EINVAL);
  CHECK(ask(15) == EINVAL);
  for (const uint32_t argsz : {16u, 24u, 4096u, UINT32_MAX}) {
    REQUIRE(ask(argsz) == 0);
    REQUIRE(client.reply.payload.size() == 16);
    memcpy(&info, client.reply.payload.data(), 16);
    CHECK(info.argsz == 16);
    CHECK(info.flags == (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET));
    CHECK(info.num_regions == 9);
    CHECK(info.num_irqs == 5);
  }
}

TEST_CASE("interrupts are said kind by kind, and there are no others") {
  Served served;
  RawClient client(served);
  const uint32_t counts[] = {1, 0, 32, 1, 1};
  for (uint32_t index = 0; index < 5; index++) {
    REQUIRE(client.call(Command::deviceGetIrqInfo, bodyOf(vfio_irq_info{16, 0, index, 0})) == 0);
    vfio_irq_info info{};
    REQUIRE(client.reply.payload.size() == sizeof info);
    memcpy(&info, client.reply.payload.data(), sizeof info);
    CHECK(info.index == index);
    CHECK(info.count == counts[index]);
  }
  CHECK(client.call(Command::deviceGetIrqInfo, bodyOf(vfio_irq_info{16, 0, 5, 0})) == EINVAL);
  CHECK(client.call(Command::deviceGetIrqInfo, bodyOf(vfio_irq_info{16, 0, UINT32_MAX, 0})) == EINVAL);
  CHECK(client.call(Command::deviceGetIrqInfo, bodyOf(vfio_irq_info{15, 0, 0, 0})) == EINVAL);
}

TEST_CASE("features are asked for properly, and none is there") {
  Served served;
  RawClient client(served);
  const auto ask = [&](uint32_t argsz, uint32_t flags) {
    return client.call(Command::deviceFeature, bodyOf(argsz, flags, uint64_t{0}));
  };
  for (const uint32_t flags : {VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET, VFIO_DEVICE_FEATURE_PROBE,
                               VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET}) {
    CHECK(ask(16, static_cast<uint32_t>(flags) | VFIO_DEVICE_FEATURE_MIGRATION) == ENOTTY);
  }
  CHECK(ask(16, VFIO_DEVICE_FEATURE_MIGRATION) == EINVAL);
  CHECK(ask(16, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET) == EINVAL);
  CHECK(ask(7, VFIO_DEVICE_FEATURE_GET) == EINVAL);
}

}  // namespace
}  // namespace ismio
