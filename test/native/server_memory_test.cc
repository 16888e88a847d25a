// DMA over vfio-user: memory that a client maps, with a descriptor and without.
#include <fcntl.h>
#include <linux/vfio.h>

#include <atomic>
#include <thread>

#include "support/raw_client.h"

namespace ismio {
namespace {

using test::Body;
using test::bodyOf;
using test::Eventfd;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::DmaAccess;
using vfio_user::DmaMapRequest;
using vfio_user::DmaUnmapRequest;
using vfio_user::Header;
using vfio_user::kError;
using vfio_user::kReply;

constexpr uint64_t kPage = 4096;
constexpr uint32_t kBoth = vfio_user::kDmaReadable | vfio_user::kDmaWritable;

// A memfd of the client's.
class File {
 public:
  explicit File(uint64_t size) : number_(memfd_create("client", MFD_CLOEXEC)) {
    REQUIRE(number_ >= 0);
    cut(size);
  }
  ~File() { close(number_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int number() const { return number_; }
  void cut(uint64_t size) const { REQUIRE(ftruncate(number_, static_cast<off_t>(size)) == 0); }
  void put(uint64_t offset, const Body& bytes) const {
    REQUIRE(pwrite(number_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(bytes.size()));
  }
  Body get(uint64_t offset, size_t length) const {
    Body bytes(length);
    REQUIRE(pread(number_, bytes.data(), length, static_cast<off_t>(offset)) == static_cast<ssize_t>(length));
    return bytes;
  }

 private:
  const int number_;
};

int32_t map(RawClient& client, uint64_t address, uint64_t size, const std::vector<int>& files = {}, uint64_t offset = 0,
            uint32_t flags = kBoth) {
  return client.call(Command::dmaMap, bodyOf(DmaMapRequest{32, flags, offset, address, size}), files);
}

// How much was unmapped, or -errno.
int64_t unmap(RawClient& client, uint64_t address, uint64_t size, uint32_t flags = 0) {
  const int32_t error = client.call(Command::dmaUnmap, bodyOf(DmaUnmapRequest{24, flags, address, size}));
  if (error != 0) return -error;
  DmaUnmapRequest told{};
  REQUIRE(client.reply.payload.size() == sizeof told);
  memcpy(&told, client.reply.payload.data(), sizeof told);
  CHECK(told.argsz == sizeof told);
  CHECK(told.address == address);
  return static_cast<int64_t>(told.size);
}

TEST_CASE("what a client maps with a descriptor is read and written in place") {
  Served served;
  RawClient client(served);
  const File file(4 * kPage);
  file.put(kPage, {1, 2, 3, 4});
  REQUIRE(map(client, 0x10000, 2 * kPage, {file.number()}, kPage) == 0);
  Body got(4);
  CHECK(served.function->dmaRead(0x10000, got.data(), 4) == 0);
  CHECK(got == Body{1, 2, 3, 4});
  CHECK(served.function->dmaWrite(0x10000 + kPage, got.data(), 4) == 0);
  CHECK(file.get(2 * kPage, 4) == Body{1, 2, 3, 4});
  CHECK(served.function->dmaRead(0x10000 + 2 * kPage - 2, got.data(), 4) == EFAULT);
  CHECK(unmap(client, 0x10000, 2 * kPage) == 2 * kPage);
  CHECK(served.function->dmaRead(0x10000, got.data(), 4) == EFAULT);
}

TEST_CASE("permissions of a mapping are kept, also by a descriptor that has more") {
  Served served;
  RawClient client(served);
  const File file(2 * kPage);
  uint8_t byte = 1;
  REQUIRE(map(client, 0, kPage, {file.number()}, 0, vfio_user::kDmaReadable) == 0);
  REQUIRE(map(client, kPage, kPage, {file.number()}, kPage, vfio_user::kDmaWritable) == 0);
  CHECK(served.function->dmaRead(0, &byte, 1) == 0);
  CHECK(served.function->dmaWrite(0, &byte, 1) == EACCES);
  CHECK(served.function->dmaRead(kPage, &byte, 1) == EACCES);
  CHECK(served.function->dmaWrite(kPage, &byte, 1) == 0);
}

TEST_CASE("maps that cannot be are refused, and their descriptors closed") {
  Served served;
  RawClient client(served);
  const File file(4 * kPage);
  const int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int readOnly = open(("/proc/self/fd/" + std::to_string(file.number())).c_str(), O_RDONLY | O_CLOEXEC);
  const Eventfd eventfd;
  REQUIRE(map(client, 0x100000, 2 * kPage, {file.number()}) == 0);
  const size_t before = test::openDescriptors();
  const auto refused = [&](const DmaMapRequest& asked, const std::vector<int>& files) {
    return client.call(Command::dmaMap, bodyOf(asked), files);
  };
  const int good = file.number();
  CHECK(refused({31, kBoth, 0, 0, kPage}, {good}) == EINVAL);
  CHECK(refused({32, 0, 0, 0, kPage}, {good}) == EINVAL);
  CHECK(refused({32, 4, 0, 0, kPage}, {good}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, 0}, {good}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, 100}, {good}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 100, kPage}, {good}) == EINVAL);
  CHECK(refused({32, kBoth, 100, 0, kPage}, {good}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, 5 * kPage}, {good}) == EINVAL);             // past the file's end
  CHECK(refused({32, kBoth, 4 * kPage, 0, kPage}, {good}) == EINVAL);         // behind it
  CHECK(refused({32, kBoth, 0ull - kPage, 0, kPage}, {good}) == EINVAL);      // the sum is 0
  CHECK(refused({32, kBoth, 0, 0ull - kPage, 2 * kPage}, {good}) == EINVAL);  // past 2^64
  CHECK(refused({32, kBoth, 0, 0, kPage}, {good, good}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, kPage}, {directory}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, kPage}, {eventfd.number()}) == EINVAL);
  CHECK(refused({32, kBoth, 0, 0, kPage}, {readOnly}) == EACCES);
  CHECK(refused({32, kBoth, 0, 0x100000, 2 * kPage}, {good}) == EEXIST);
  CHECK(refused({32, kBoth, 0, 0x101000, 2 * kPage}, {good}) == EEXIST);
  CHECK(refused({32, kBoth, 0, 0xff000, 2 * kPage}, {good}) == EEXIST);
  CHECK(refused({32, kBoth, 0, 0, 1ull << 40}, {}) == EEXIST);  // all around it
  CHECK(test::openDescriptors() == before);
  CHECK(served.function->dma.mappings() == 1);
  CHECK(refused({32, kBoth, 0, 0ull - kPage, kPage}, {good}) == 0);  // ends at exactly 2^64
  CHECK(unmap(client, 0ull - kPage, kPage) == kPage);
  close(directory);
  close(readOnly);
}

TEST_CASE("what is not mapped is unmapped without an error; of a mapping, all or nothing is") {
  Served served;
  RawClient client(served);
  CHECK(unmap(client, 0, kPage) == 0);
  CHECK(unmap(client, 0, 0ull - kPage) == 0);
  CHECK(unmap(client, 0ull - kPage, kPage) == 0);  // up to 2^64
  CHECK(unmap(client, 0x8000000000000000, 0x8000000000000000) == 0);
  CHECK(unmap(client, 0x8000000000000000, 0x8000000000001000) == -EINVAL);
  CHECK(unmap(client, 0, 0) == -EINVAL);
  REQUIRE(map(client, 4 * kPage, 2 * kPage) == 0);
  REQUIRE(map(client, 8 * kPage, kPage) == 0);
  CHECK(unmap(client, 4 * kPage, kPage) == -EINVAL);
  CHECK(unmap(client, 5 * kPage, kPage) == -EINVAL);
  CHECK(unmap(client, 0, 5 * kPage) == -EINVAL);
  CHECK(unmap(client, 0, kPage, 1) == -EINVAL);  // a dirty bitmap
  CHECK(unmap(client, 0, kPage, VFIO_DMA_UNMAP_FLAG_ALL) == -EINVAL);
  CHECK(served.function->dma.mappings() == 2);
  CHECK(unmap(client, 0, 16 * kPage) == 3 * kPage);
  REQUIRE(map(client, 4 * kPage, 2 * kPage) == 0);
  REQUIRE(map(client, 0ull - kPage, kPage) == 0);
  CHECK(unmap(client, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL) == 3 * kPage);
  CHECK(served.function->dma.mappings() == 0);
  CHECK(client.call(Command::dmaUnmap, bodyOf(DmaUnmapRequest{23, 0, 0, kPage})) == EINVAL);
}

TEST_CASE("no more is mapped than was announced, and what is unmapped makes room") {
  Served served(3);
  RawClient client(served);
  for (uint64_t i = 0; i < 3; i++) CHECK(map(client, i * kPage, kPage) == 0);
  CHECK(map(client, 3 * kPage, kPage) == ENOSPC);
  CHECK(unmap(client, 0, kPage) == kPage);
  CHECK(map(client, 3 * kPage, kPage) == 0);
}

TEST_CASE("a file that its client cuts off is told to the device, and ends nothing") {
  Served served;
  RawClient client(served);
  const File file(2 * kPage);
  file.put(0, {1, 2, 3, 4});
  REQUIRE(map(client, 0, 2 * kPage, {file.number()}) == 0);
  file.cut(0);
  Body got{9, 9, 9, 9};
  CHECK(served.function->dmaRead(0, got.data(), 4) == EFAULT);
  CHECK(served.function->dmaWrite(kPage, got.data(), 4) == EFAULT);
  CHECK(client.sound());
}

// A device's own access, on a thread of its own, to memory that came without a descriptor.
class FarAccess {
 public:
  FarAccess(Served& served, bool write, uint64_t address, size_t length)
      : bytes(length), thread_([this, &served, write, address] {
          device::Function& function = *served.function;
          error = write ? function.dmaWrite(address, bytes.data(), bytes.size())
                        : function.dmaRead(address, bytes.data(), bytes.size());
        }) {}
  ~FarAccess() {
    if (thread_.joinable()) thread_.join();
  }
  int32_t end() {
    thread_.join();
    return error;
  }
  Body bytes;
  int32_t error = -1;

 private:
  std::thread thread_;
};

void answer(const RawClient& client, const vfio_user::Message& asked, const Body& body, uint32_t flags = kReply,
            uint32_t error = 0) {
  const auto size = static_cast<uint32_t>(sizeof(Header) + body.size());
  client.sendBytes(bodyOf(Header{asked.header.id, asked.header.command, size, flags, error}, body));
}

TEST_CASE("memory without a descriptor is asked for by messages, in parts that the client takes") {
  Served served;
  RawClient client(served, false);
  Body version = bodyOf(vfio_user::Version{0, 0});
  for (const char c : std::string(R"({"capabilities":{"max_data_xfer_size":6000}})")) version.push_back(c);
  version.push_back(0);
  REQUIRE(client.call(Command::version, version) == 0);
  REQUIRE(map(client, 0, 4 * kPage) == 0);
  {
    FarAccess reading(served, false, 16, 10000);
    for (const DmaAccess& part : {DmaAccess{16, 6000}, DmaAccess{6016, 4000}}) {
      REQUIRE(client.receive(client.reply));
      CHECK(client.reply.header.command == Command::dmaRead);
      CHECK(client.reply.payload == bodyOf(part));
      answer(client, client.reply, bodyOf(part, Body(part.count, static_cast<uint8_t>(part.count >> 8))));
    }
    CHECK(reading.end() == 0);
    CHECK(reading.bytes[5999] == 6000 >> 8);
    CHECK(reading.bytes[6000] == 4000 >> 8);
  }
  {
    FarAccess writing(served, true, 32, 4);
    REQUIRE(client.receive(client.reply));
    CHECK(client.reply.header.command == Command::dmaWrite);
    CHECK(client.reply.payload == bodyOf(DmaAccess{32, 4}, Body(4)));
    answer(client, client.reply, {});
    CHECK(writing.end() == 0);
  }
}

TEST_CASE("a client's refusal of DMA, and replies that do not fit, fail the device's access alone") {
  Served served;
  RawClient client(served);
  REQUIRE(map(client, 0, 4 * kPage) == 0);
  struct Case {
    Body body;
    uint32_t flags;
    uint32_t error;
    int32_t expected;
  };
  const Case cases[] = {
      {{}, kReply | kError, ENODEV, ENODEV},
      {{}, kReply | kError, 0, EIO},
      {{}, kReply | kError, 0xffffffff, EIO},
      {{}, kReply, 0, EPROTO},
      {bodyOf(DmaAccess{0, 8}), kReply, 0, EPROTO},
      {bodyOf(DmaAccess{0, 8}, Body(7)), kReply, 0, EPROTO},
      {bodyOf(DmaAccess{0, 8}, Body(9)), kReply, 0, EPROTO},
      {bodyOf(DmaAccess{8, 8}, Body(8)), kReply, 0, EPROTO},
      {bodyOf(DmaAccess{0, 9}, Body(8)), kReply, 0, EPROTO},
      {bodyOf(DmaAccess{0, 8}, Body(8)), kReply, 0, 0},
  };
  for (const Case& one : cases) {
    FarAccess reading(served, false, 0, 8);
    REQUIRE(client.receive(client.reply));
    answer(client, client.reply, one.body, one.flags, one.error);
    CHECK(reading.end() == one.expected);
  }
  {
    FarAccess reading(served, false, 0, 8);
    REQUIRE(client.receive(client.reply));
    const vfio_user::Message& asked = client.reply;
    client.sendBytes(bodyOf(Header{asked.header.id, Command::dmaWrite, 16, kReply, 0}));  // another command's
    client.sendBytes(bodyOf(Header{static_cast<uint16_t>(asked.header.id + 1), Command::dmaRead, 16, kReply, 0}));
    answer(client, asked, bodyOf(DmaAccess{0, 8}, Body(8)));
    CHECK(reading.end() == 0);
  }
  CHECK(client.sound());
  CHECK(served.server->counts().unexpected == 2);
}

TEST_CASE("a client that maps, unmaps and asks is served while a device waits for it") {
  Served served;
  RawClient client(served);
  REQUIRE(map(client, 0, kPage) == 0);
  FarAccess reading(served, false, 0, 8);
  vfio_user::Message asked;
  REQUIRE(client.receive(asked));
  CHECK(map(client, kPage, kPage) == 0);
  CHECK(unmap(client, 0, 2 * kPage) == 2 * kPage);
  CHECK(client.sound());
  answer(client, asked, bodyOf(DmaAccess{0, 8}, Body(8)));
  CHECK(reading.end() == 0);
}

TEST_CASE("DMA that a client never answers ends after four seconds, and at once where it goes") {
  Served served;
  RawClient client(served);
  REQUIRE(map(client, 0, kPage) == 0);
  {
    const auto began = std::chrono::steady_clock::now();
    FarAccess reading(served, false, 0, 8);
    CHECK(reading.end() == ETIMEDOUT);
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(4900));
    REQUIRE(client.receive(client.reply));
    answer(client, client.reply, bodyOf(DmaAccess{0, 8}, Body(8)));  // too late: nobody is written to
    CHECK(client.sound());
  }
  FarAccess reading(served, false, 0, 8);
  REQUIRE(client.receive(client.reply));
  client.hangUp();
  CHECK(reading.end() == ENODEV);
}

}  // namespace
}  // namespace ismio
