// Descriptors over vfio-user: eventfds of interrupts, those of messages that want none, and those of memory that can be
// mapped.
#include <linux/vfio.h>

#include "support/raw_client.h"

namespace ismio {
namespace {

using test::Body;
using test::bodyOf;
using test::Eventfd;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::kNoReply;
using vfio_user::kReply;

int32_t setIrqs(RawClient& client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                const std::vector<int>& files = {}, const Body& data = {}, uint32_t argsz = 20) {
  return client.call(Command::deviceSetIrqs, bodyOf(argsz, flags, index, start, count, data), files);
}

constexpr uint32_t kEventfds = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr uint32_t kNone = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr uint32_t kBools = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr uint32_t kMsix = VFIO_PCI_MSIX_IRQ_INDEX;

TEST_CASE("eventfds are signalled by the device, and replaced, taken and switched off as VFIO has it") {
  Served served;
  RawClient client(served);
  const Eventfd first;
  const Eventfd second;
  const size_t before = test::openDescriptors();
  REQUIRE(setIrqs(client, kEventfds, kMsix, 0, 2, {first.number(), second.number()}) == 0);
  CHECK(test::openDescriptors() == before + 2);
  served.function->raise(device::Irq::msix, 1);
  CHECK(first.count() == 0);
  CHECK(second.count() == 1);
  // Again, grown: as QEMU does for each vector that a guest unmasks.
  for (int i = 0; i < 100; i++) {
    REQUIRE(setIrqs(client, kNone, kMsix, 0, 0) == 0);
    REQUIRE(setIrqs(client, kEventfds, kMsix, 0, 1, {second.number()}) == 0);
    REQUIRE(setIrqs(client, kEventfds, kMsix, 1, 1) == 0);  // a hole
    REQUIRE(setIrqs(client, kEventfds, kMsix, 2, 2, {first.number(), first.number()}) == 0);
  }
  CHECK(test::openDescriptors() == before + 3);
  served.function->raise(device::Irq::msix, 3);
  CHECK(first.count() == 1);
  CHECK(setIrqs(client, kBools, kMsix, 0, 4, {}, {1, 0, 1, 0}) == 0);
  CHECK(second.count() == 1);
  CHECK(first.count() == 1);
  CHECK(setIrqs(client, kNone, kMsix, 0, 0) == 0);
  CHECK(test::openDescriptors() == before);
}

TEST_CASE("an interrupt that is raised while the index is off comes when it is on again") {
  Served served;
  RawClient client(served);
  const Eventfd eventfd;
  served.function->raise(device::Irq::msix, 5);
  REQUIRE(setIrqs(client, kEventfds, kMsix, 5, 1, {eventfd.number()}) == 0);
  CHECK(eventfd.count() == 1);
}

TEST_CASE("settings of interrupts that cannot be are refused, and their descriptors closed") {
  Served served;
  RawClient client(served);
  const Eventfd eventfd;
  const int one = eventfd.number();
  const size_t before = test::openDescriptors();
  CHECK(setIrqs(client, kEventfds, kMsix, 0, 1, {one}, {}, 19) == EINVAL);
  CHECK(setIrqs(client, kEventfds, 5, 0, 1, {one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, UINT32_MAX, 0, 1, {one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, {one}) == EINVAL);  // it has none
  CHECK(setIrqs(client, kEventfds, kMsix, 32, 1, {one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, 31, 2, {one, one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, UINT32_MAX, 2, {one, one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, 1, UINT32_MAX, {one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, 0, 2, {one}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, 0, 1, {one, one}) == EINVAL);
  CHECK(setIrqs(client, kNone, kMsix, 0, 1, {one}) == EINVAL);
  CHECK(setIrqs(client, kBools, kMsix, 0, 1, {one}, {1}) == EINVAL);
  CHECK(setIrqs(client, kBools, kMsix, 0, 2, {}, {1}) == EINVAL);
  CHECK(setIrqs(client, kBools, kMsix, 0, 1, {}, {1, 1}) == EINVAL);
  CHECK(setIrqs(client, kEventfds, kMsix, 0, 1, {one}, {0, 0, 0, 0}) == EINVAL);
  CHECK(setIrqs(client, 0, kMsix, 0, 1) == EINVAL);
  CHECK(setIrqs(client, 0x40 | kNone, kMsix, 0, 1) == EINVAL);
  CHECK(setIrqs(client, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, kMsix, 0, 1, {one}) == EINVAL);
  CHECK(setIrqs(client, kNone | VFIO_IRQ_SET_ACTION_MASK, kMsix, 0, 1) == EINVAL);
  CHECK(test::openDescriptors() == before);
  CHECK(client.sound());
}

TEST_CASE("descriptors beside a message that wants none are closed") {
  Served served;
  RawClient client(served);
  const Eventfd eventfd;
  const size_t before = test::openDescriptors();
  const std::vector<int> sixteen(16, eventfd.number());
  for (uint16_t command = 0; command < 20; command++) {
    client.call(static_cast<Command>(command), Body(32), sixteen);
    client.send(static_cast<Command>(command), Body(24), sixteen, kNoReply);
    client.send(static_cast<Command>(command), Body(24), sixteen, kReply);
  }
  CHECK(client.sound());
  CHECK(test::openDescriptors() == before);
}

TEST_CASE("memory that can be mapped comes with its descriptor, in two steps where there is more to say") {
  Served served;
  RawClient client(served);
  const auto ask = [&](uint32_t index, uint32_t argsz) {
    vfio_region_info asked{};
    asked.argsz = argsz;
    asked.index = index;
    REQUIRE(client.call(Command::deviceGetRegionInfo, bodyOf(asked)) == 0);
    REQUIRE(client.reply.payload.size() >= sizeof asked);
    memcpy(&asked, client.reply.payload.data(), sizeof asked);
    return asked;
  };
  served.memory()[0] = 42;
  for (const uint32_t index : {0u, 1u}) {
    vfio_region_info info = ask(index, 32);
    CHECK(client.reply.payload.size() == 32);
    CHECK((info.flags & VFIO_REGION_INFO_FLAG_CAPS) == 0);
    CHECK(client.reply.descriptors.size() == 1);
    info = ask(index, info.argsz);
    CHECK(client.reply.payload.size() == info.argsz);
    REQUIRE(client.reply.descriptors.size() == 1);
    uint64_t at = 0;
    if (index == 0) {
      REQUIRE((info.flags & VFIO_REGION_INFO_FLAG_CAPS) != 0);
      REQUIRE(info.cap_offset == sizeof info);
      REQUIRE(info.argsz == 64);
      memcpy(&at, client.reply.payload.data() + info.cap_offset + 16, sizeof at);
      CHECK(at == test::kMemoryFrom);
    }
    // Where an area lies in the file: modulo 2^64.
    uint8_t byte = 0;
    CHECK(pread(client.reply.descriptors.numbers()[0], &byte, 1, static_cast<off_t>(info.offset + at)) == 1);
    CHECK(byte == 42);
  }
  CHECK((ask(2, 64).flags & VFIO_REGION_INFO_FLAG_MMAP) == 0);
  CHECK(client.reply.descriptors.size() == 0);
  CHECK(ask(8, 64).size == 0);
  vfio_region_info asked{32, 0, 9, 0, 0, 0};
  CHECK(client.call(Command::deviceGetRegionInfo, bodyOf(asked)) == EINVAL);
  asked = {31, 0, 0, 0, 0, 0};
  CHECK(client.call(Command::deviceGetRegionInfo, bodyOf(asked)) == EINVAL);
  CHECK(client.call(Command::deviceGetRegionIoFds, bodyOf(uint32_t{16}, uint32_t{0}, uint32_t{0}, uint32_t{9})) == 0);
  CHECK(client.reply.payload == bodyOf(uint32_t{16}, uint32_t{0}, uint32_t{0}, uint32_t{0}));
}

}  // namespace
}  // namespace ismio
