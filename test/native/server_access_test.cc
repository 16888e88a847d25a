// Accesses to regions over vfio-user: which are answered where, in which order, and how they end.
#include <thread>

#include "support/raw_client.h"

namespace ismio {
namespace {

using device::Handled;
using test::Asked;
using test::Body;
using test::bodyOf;
using test::kBarSize;
using test::kConfigSize;
using test::kMemoryFrom;
using test::kMemoryTo;
using test::kPromises;
using test::kRefuses;
using test::kSlow;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::kError;
using vfio_user::RegionAccess;

Body counting(size_t length, uint8_t from = 1) {
  Body body(length);
  for (size_t i = 0; i < length; i++) body[i] = static_cast<uint8_t>(from + i);
  return body;
}

// Of the accesses to regions alone.
std::vector<Asked> accesses(Served& served) {
  std::vector<Asked> asked = served.script.asked();
  std::erase_if(asked, [](const Asked& one) { return one.kind == Handled::arrived; });
  return asked;
}

// In the byte order of the machine, as the messages are.
uint64_t wordIn(const uint8_t* bytes) {
  uint64_t word = 0;
  memcpy(&word, bytes, sizeof word);
  return word;
}

TEST_CASE("memory is read and written without a question to JavaScript") {
  Served served;
  RawClient client(served);
  for (const uint32_t count : {1u, 2u, 4u, 8u, 3u, 4096u}) {
    REQUIRE(client.write(0, kMemoryFrom + 16, counting(count)) == 0);
    CHECK(memcmp(served.memory() + 16, counting(count).data(), count) == 0);
    REQUIRE(client.read(1, 16, count) == 0);
    CHECK(client.data() == counting(count));
  }
  CHECK(accesses(served).empty());
  CHECK(served.server->counts().bytesRead == 1 + 2 + 4 + 8 + 3 + 4096);
  CHECK(served.server->counts().bytesWritten == 1 + 2 + 4 + 8 + 3 + 4096);
}

TEST_CASE("aligned accesses of 1, 2, 4 and 8 bytes arrive as they were made") {
  Served served;
  RawClient client(served);
  for (const uint32_t width : {1u, 2u, 4u, 8u}) {
    served.script.forget();
    REQUIRE(client.write(0, 0x40, counting(width)) == 0);
    REQUIRE(client.read(0, 0x40, width) == 0);
    CHECK(client.data() == counting(width));
    CHECK(accesses(served) == std::vector<Asked>{{Handled::store, 0, 0x40, width}, {Handled::load, 0, 0x40, width}});
  }
}

TEST_CASE("a long or odd read is the loads that vfio-pci makes of it; a write like that is one block") {
  Served served;
  RawClient client(served);
  served.script.forget();
  REQUIRE(client.write(0, 0x41, counting(21)) == 0);
  REQUIRE(client.read(0, 0x41, 21) == 0);
  CHECK(client.data() == counting(21));
  CHECK(accesses(served) == std::vector<Asked>{{Handled::storeBlock, 0, 0x41, 21},
                                               {Handled::load, 0, 0x41, 1},
                                               {Handled::load, 0, 0x42, 2},
                                               {Handled::load, 0, 0x44, 4},
                                               {Handled::load, 0, 0x48, 8},
                                               {Handled::load, 0, 0x50, 4},
                                               {Handled::load, 0, 0x54, 2}});
  served.script.forget();
  REQUIRE(client.write(0, 0x44, counting(8)) == 0);  // 8 bytes, but not at a multiple of 8
  CHECK(accesses(served) == std::vector<Asked>{{Handled::storeBlock, 0, 0x44, 8}});
}

TEST_CASE("an access across the edges of memory is taken apart there") {
  Served served;
  RawClient client(served);
  served.script.forget();
  REQUIRE(client.write(0, kMemoryFrom - 16, counting(32)) == 0);
  REQUIRE(client.write(0, kMemoryTo - 4, counting(8)) == 0);
  CHECK(accesses(served) ==
        std::vector<Asked>{{Handled::storeBlock, 0, kMemoryFrom - 16, 16}, {Handled::store, 0, kMemoryTo, 4}});
  CHECK(served.memory()[0] == 17);
  REQUIRE(client.read(0, kMemoryFrom - 16, 32) == 0);
  CHECK(client.data() == counting(32));
  REQUIRE(client.read(0, kMemoryTo - 4, 8) == 0);
  CHECK(client.data() == counting(8));
  // From before all of it to behind.
  const size_t all = kMemoryTo - kMemoryFrom + 16;
  REQUIRE(client.write(0, kMemoryFrom - 8, counting(all)) == 0);
  REQUIRE(client.read(0, kMemoryFrom - 8, static_cast<uint32_t>(all)) == 0);
  CHECK(client.data() == counting(all));
}

TEST_CASE("accesses past the end, to regions that are not there, and of too much are refused") {
  Served served;
  RawClient client(served);
  struct Case {
    uint64_t offset;
    uint32_t region;
    uint32_t count;
  };
  const Case cases[] = {{kBarSize, 0, 1},
                        {kBarSize - 4, 0, 8},
                        {UINT64_MAX, 0, 1},
                        {UINT64_MAX - 3, 0, 8},
                        {kMemoryTo - kMemoryFrom - 1, 1, 2},
                        {0, 3, 4},
                        {0, 6, 4},
                        {0, 8, 4},
                        {0, 9, 4},
                        {0, UINT32_MAX, 4},
                        {kConfigSize, 7, 1},
                        {kConfigSize - 2, 7, 4}};
  for (const Case& one : cases) {
    CAPTURE(one.region);
    CAPTURE(one.offset);
    CHECK(client.read(one.region, one.offset, one.count) == EINVAL);
    CHECK(client.write(one.region, one.offset, Body(one.count)) == EINVAL);
  }
  CHECK(client.call(Command::regionRead, bodyOf(RegionAccess{0, 0, UINT32_MAX})) == EINVAL);
  CHECK(client.call(Command::regionRead, bodyOf(RegionAccess{0, 0, (1 << 20) + 1})) == EINVAL);
  CHECK(client.sound());
  CHECK(accesses(served).empty());
}

TEST_CASE("an access of nothing does nothing, up to the end") {
  Served served;
  RawClient client(served);
  CHECK(client.read(0, 0, 0) == 0);
  CHECK(client.write(0, kBarSize, {}) == 0);
  CHECK(client.read(7, kConfigSize, 0) == 0);
  CHECK(client.read(0, kBarSize + 1, 0) == EINVAL);
  CHECK(accesses(served).empty());
}

TEST_CASE("a payload that is not as long as it says is refused") {
  Served served;
  RawClient client(served);
  CHECK(client.call(Command::regionWrite, bodyOf(RegionAccess{0, 0, 8}, uint32_t{1})) == EINVAL);
  CHECK(client.call(Command::regionWrite, bodyOf(RegionAccess{0, 0, 4}, uint64_t{1})) == EINVAL);
  CHECK(client.call(Command::regionWrite, bodyOf(RegionAccess{0, 0, UINT32_MAX}, uint64_t{1})) == EINVAL);
  CHECK(client.call(Command::regionRead, bodyOf(RegionAccess{0, 0, 8}, uint64_t{1})) == EINVAL);
  CHECK(client.sound());
}

TEST_CASE("a function that does not decode memory answers EIO, but for its configuration space") {
  Served served;
  RawClient client(served);
  REQUIRE(client.write(7, 4, {0, 0}) == 0);
  CHECK(client.read(0, 0, 4) == EIO);
  CHECK(client.read(0, kMemoryFrom, 4) == EIO);
  CHECK(client.write(1, 0, Body(8)) == EIO);
  CHECK(client.read(7, 0, 256) == 0);
  REQUIRE(client.write(7, 4, {2, 0}) == 0);
  CHECK(client.read(0, kMemoryFrom, 4) == 0);
}

TEST_CASE("a handler's refusal, and a region without handlers, are EIO") {
  Served served;
  RawClient client(served);
  CHECK(client.read(0, kRefuses, 4) == EIO);
  CHECK(client.write(0, kRefuses, Body(4)) == EIO);
  CHECK(client.read(0, kRefuses - 8, 16) == EIO);
  CHECK(client.read(2, 0, 4) == EIO);
  CHECK(client.write(2, 0, Body(64)) == EIO);
  CHECK(client.sound());
}

TEST_CASE("configuration space is read and written in one piece, of any length") {
  Served served;
  RawClient client(served);
  REQUIRE(client.write(7, 0x40, counting(20)) == 0);
  served.script.forget();
  REQUIRE(client.read(7, 0, kConfigSize) == 0);
  const Body all = client.data();
  CHECK(Body(all.begin() + 0x40, all.begin() + 0x54) == counting(20));
  CHECK(accesses(served) == std::vector<Asked>{{Handled::load, 7, 0, kConfigSize}});
}

TEST_CASE("a write of many is carried out one by one; the first refusal is told, and stops none") {
  Served served;
  RawClient client(served);
  const auto one = [](uint64_t offset, uint32_t count, uint64_t value) {
    return bodyOf(RegionAccess{offset, 0, count}, value);
  };
  Body writes = bodyOf(uint64_t{4}, one(0x40, 4, 1), one(kMemoryFrom, 8, 2), one(kRefuses, 4, 3), one(0x44, 2, 4));
  served.script.forget();
  CHECK(client.call(Command::regionWriteMulti, writes) == EIO);
  CHECK(accesses(served) == std::vector<Asked>{{Handled::store, 0, 0x40, 4},
                                               {Handled::store, 0, kRefuses, 4},
                                               {Handled::store, 0, 0x44, 2}});
  CHECK(wordIn(served.memory()) == 2);
  writes = bodyOf(uint64_t{200});
  for (uint64_t i = 0; i < 200; i++) test::append(writes, one(kMemoryFrom + i * 8, 8, i));
  REQUIRE(client.call(Command::regionWriteMulti, writes) == 0);
  CHECK(client.reply.payload == bodyOf(uint64_t{200}));
  CHECK(wordIn(served.memory() + 1592) == 199);
  CHECK(client.call(Command::regionWriteMulti, bodyOf(uint64_t{0})) == 0);
  CHECK(client.call(Command::regionWriteMulti, bodyOf(uint64_t{2}, one(0, 4, 1))) == EINVAL);
  CHECK(client.call(Command::regionWriteMulti, bodyOf(UINT64_MAX, one(0, 4, 1))) == EINVAL);
  CHECK(client.call(Command::regionWriteMulti, bodyOf(uint64_t{1}, one(0, 9, 1))) == EINVAL);
  CHECK(client.call(Command::regionWriteMulti, bodyOf(uint64_t{1}, one(kBarSize, 1, 1))) == EINVAL);
}

TEST_CASE("requests are carried out in the order in which they came, wherever each is answered") {
  Served served;
  RawClient client(served);
  served.script.forget();
  client.post(0, kSlow, Body(4));  // the handler takes its time
  client.post(0, kMemoryFrom, {7});
  const uint16_t first = client.send(Command::regionRead, bodyOf(RegionAccess{0, 1, 1}));
  const uint16_t second = client.send(Command::deviceGetInfo, bodyOf(uint32_t{16}, uint32_t{0}, uint64_t{0}));
  REQUIRE(client.receive(client.reply));
  CHECK(client.reply.header.id == first);
  CHECK(client.data() == Body{7});
  REQUIRE(client.receive(client.reply));
  CHECK(client.reply.header.id == second);
}

TEST_CASE("accesses wait behind a promise, which is answered when it is kept") {
  Served served;
  RawClient client(served);
  const uint16_t first = client.send(Command::regionRead, bodyOf(RegionAccess{kPromises, 0, 4}));
  const uint16_t second = client.send(Command::regionRead, bodyOf(RegionAccess{kMemoryFrom, 0, 4}));
  CHECK_FALSE(client.receive(client.reply, 50));
  served.script.keep();
  REQUIRE(client.receive(client.reply));
  CHECK(client.reply.header.id == first);
  REQUIRE(client.receive(client.reply));
  CHECK(client.reply.header.id == second);
}

TEST_CASE("what is not answered within four seconds ends with ETIMEDOUT, and its late answer is dropped") {
  Served served;
  RawClient client(served);
  const auto began = std::chrono::steady_clock::now();
  const uint16_t first = client.send(Command::regionRead, bodyOf(RegionAccess{kPromises, 0, 4}));
  client.post(0, 0x40, counting(4));
  const uint16_t second = client.send(Command::deviceGetInfo, bodyOf(uint32_t{16}, uint32_t{0}, uint64_t{0}));
  REQUIRE(client.receive(client.reply));
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= device::kAnswerWithin);
  CHECK(took < std::chrono::milliseconds(4900));  // QEMU waits for 5 s
  CHECK(client.reply.header.id == first);
  CHECK(client.reply.header.error == ETIMEDOUT);
  REQUIRE(client.receive(client.reply));  // needs no JavaScript, so it waits no longer
  CHECK(client.reply.header.id == second);
  CHECK((client.reply.header.flags & kError) == 0);
  served.script.keep();
  REQUIRE(client.read(0, 0x40, 4) == 0);  // the reply is to this; the posted store was made
  CHECK(client.data() == counting(4));
  CHECK(served.server->counts().late == 1);
}

TEST_CASE("posted writes are taken off the socket while a handler is busy") {
  Served served;
  RawClient client(served);
  client.send(Command::regionRead, bodyOf(RegionAccess{kPromises, 0, 4}));
  constexpr int kPosted = 20'000;  // many times what a socket holds
  for (int i = 0; i < kPosted; i++) client.post(0, 0x40, bodyOf(i));
  served.script.keep();
  REQUIRE(client.receive(client.reply));
  REQUIRE(client.read(0, 0x40, 4) == 0);
  CHECK(client.data() == bodyOf(kPosted - 1));
}

TEST_CASE("what came together is answered in order, short replies before a long one and behind it") {
  Served served;
  RawClient client(served);
  constexpr uint32_t kLong = kMemoryTo - kMemoryFrom;
  Body sent;
  uint16_t id = 100;
  const auto add = [&](Command command, const RegionAccess& access, const Body& bytes) {
    const auto size = static_cast<uint32_t>(sizeof(vfio_user::Header) + sizeof access + bytes.size());
    test::append(sent, vfio_user::Header{id++, command, size, 0, 0}, access, bytes);
  };
  for (uint64_t i = 0; i < 16; i++) add(Command::regionWrite, {kMemoryFrom + 8 * i, 0, 8}, bodyOf(i));
  add(Command::regionRead, {kMemoryFrom + 120, 0, 8}, {});
  add(Command::regionRead, {0, 1, kLong}, {});
  add(Command::regionRead, {kMemoryFrom, 0, 8}, {});
  client.sendBytes(sent);
  for (uint16_t expected = 100; expected < id; expected++) {
    REQUIRE(client.receive(client.reply));
    CHECK(client.reply.header.id == expected);
    CHECK((client.reply.header.flags & kError) == 0);
    if (expected == 116) CHECK(client.data() == bodyOf(uint64_t{15}));
    if (expected == 117) CHECK(client.reply.payload.size() == sizeof(RegionAccess) + kLong);
  }
}

TEST_CASE("a client that asks for more than it reads is answered as soon as it reads, in order") {
  Served served;
  RawClient client(served);
  constexpr uint32_t kLength = kMemoryTo - kMemoryFrom;
  constexpr int kReads = 2000;  // 16 MiB of replies
  std::thread sender([&] {
    for (int i = 0; i < kReads; i++) {
      const RegionAccess access{0, 1, kLength};
      const vfio_user::Header header{static_cast<uint16_t>(i), Command::regionRead, sizeof header + sizeof access, 0,
                                     0};
      client.sendBytes(bodyOf(header, access));
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (int i = 0; i < kReads; i++) {
    REQUIRE(client.receive(client.reply));
    CHECK(client.reply.header.id == i);
    CHECK(client.reply.payload.size() == sizeof(RegionAccess) + kLength);
  }
  sender.join();
}

}  // namespace
}  // namespace ismio
