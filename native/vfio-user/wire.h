// The messages of vfio-user, once for both ends. Words are in the byte order of the machine, which both ends are on.
//
//     0        2        4            8        12       16
//     | id     | command| size       | flags  | error  | payload, size - 16 bytes
//
// Sources: docs/vfio-user.rst of libvfio-user, QEMU hw/vfio-user/protocol.h. Payloads that are structs of VFIO are in
// <linux/vfio.h>.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ismio::vfio_user {

enum class Command : uint16_t {
  version = 1,
  dmaMap = 2,
  dmaUnmap = 3,
  deviceGetInfo = 4,
  deviceGetRegionInfo = 5,
  deviceGetRegionIoFds = 6,
  deviceGetIrqInfo = 7,
  deviceSetIrqs = 8,
  regionRead = 9,
  regionWrite = 10,
  dmaRead = 11,
  dmaWrite = 12,
  deviceReset = 13,
  regionWriteMulti = 15,
  deviceFeature = 16,
  migDataRead = 17,
  migDataWrite = 18,
  // Of this package alone, far from those of the specification.
  ismLane = 0x4953,
};

struct Header {
  uint16_t id;
  Command command;
  uint32_t size;  // of the whole message
  uint32_t flags;
  uint32_t error;  // an errno, with kError
};
static_assert(sizeof(Header) == 16);

inline constexpr uint32_t kTypeMask = 0xf;
inline constexpr uint32_t kReply = 1;  // else a command
inline constexpr uint32_t kNoReply = 1u << 4;
inline constexpr uint32_t kError = 1u << 5;

// `error` is an errno, or 0; `size` is of the whole message.
inline Header replyTo(const Header& to, int32_t error, size_t size) {
  const uint32_t flags = kReply | (error == 0 ? 0 : kError);
  return {to.id, to.command, static_cast<uint32_t>(size), flags, static_cast<uint32_t>(error)};
}

struct Version {
  uint16_t major;
  uint16_t minor;
  // Then JSON, which ends in a NUL; it may be left out.
};

inline constexpr uint32_t kDmaReadable = 1;
inline constexpr uint32_t kDmaWritable = 2;
struct DmaMapRequest {
  uint32_t argsz;
  uint32_t flags;
  uint64_t offset;  // in the descriptor that comes with it
  uint64_t address;
  uint64_t size;
};
static_assert(sizeof(DmaMapRequest) == 32);

struct DmaUnmapRequest {
  uint32_t argsz;
  uint32_t flags;
  uint64_t address;
  uint64_t size;
};
static_assert(sizeof(DmaUnmapRequest) == 24);

// Bytes follow in a write, and in the reply to a read.
struct RegionAccess {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
};
static_assert(sizeof(RegionAccess) == 16);

struct DmaAccess {
  uint64_t address;
  uint64_t count;
};
static_assert(sizeof(DmaAccess) == 16);

// `count` of them behind a word with the count.
struct MultiWrite {
  RegionAccess access;
  uint8_t bytes[8];
};
static_assert(sizeof(MultiWrite) == 24);

// For the descriptors of what a token names (device::Lane), which come with the reply in their order.
struct LaneRequest {
  uint32_t argsz;
  uint32_t flags;  // 0
  uint64_t token;
};
static_assert(sizeof(LaneRequest) == 16);
struct LaneReply {
  uint32_t argsz;
  uint32_t flags;  // 0
  uint32_t length;
  uint32_t index;
};
static_assert(sizeof(LaneReply) == 16);

// What is taken where a version says nothing (vfio-user.rst, "Version"), and what this package announces.
inline constexpr uint32_t kDefaultMaxMessageFds = 1;
inline constexpr uint64_t kDefaultMaxTransfer = 1u << 20;
inline constexpr uint64_t kDefaultMaxDmaMaps = 65535;
inline constexpr uint32_t kMaxMessageFds = 16;
inline constexpr uint64_t kMaxTransfer = 1u << 20;

// No message is longer: a transfer with the structs around it, or a text of capabilities.
inline constexpr uint32_t kLongestMessage = kMaxTransfer + 4096;

}  // namespace ismio::vfio_user
