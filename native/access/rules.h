// What one store may be. The numbers come from the device (or from its emulation); this file is the only place that
// knows what they mean.
//
//   relaxed (ISM)   1..maxStoreBlock bytes, any alignment, inside one `boundary` window
//                   [Linux drivers/vfio/pci/ism/main.c checks exactly these two]
//   strict          offset and length multiples of 8, more than 8 bytes, at most maxStoreBlock, inside one window
//                   [QEMU hw/s390x/s390-pci-inst.c, pcistb_service_call]
//
// Without single stores a function takes store blocks and nothing else: so does every one behind ism-vfio-pci, whose
// pwrite is one PCISTB of any length [Linux drivers/vfio/pci/ism/main.c].
#pragma once

#include <cerrno>
#include <cstdint>

namespace ismio {

enum class Alignment : uint8_t { relaxed, strict };

// Which rule a store block breaks. Shared with src/addon/wire.ts by value.
enum class Rule : uint8_t {
  none = 0,
  length = 1,           // 0 bytes, or (strict) 8 bytes or fewer
  maxStoreBlock = 2,    // longer than the device takes at once
  boundary = 3,         // reaches over a boundary window
  offsetAlignment = 4,  // strict: offset is not a multiple of 8
  lengthAlignment = 5,  // strict: length is not a multiple of 8
  singleStores = 6,     // not of one store block, but of a write or store: no legal store blocks carry it
};

struct Rules {
  uint32_t maxStoreBlock = 4096;  // maxstbl of the function; 4096 on ISM, 128 on QEMU's emulated functions
  uint32_t boundary = 4096;       // power of two; the page that PCISTB must not cross
  Alignment alignment = Alignment::relaxed;
  bool mergeable = true;     // false for registers: every write is a transaction of its own
  bool singleStores = true;  // stores of 1, 2, 4 and 8 bytes; false: store blocks alone

  // Where some writes are impossible: an 8-byte word that is left alone is no block, and nothing else may carry it.
  constexpr bool blocksOnly() const { return !singleStores && alignment == Alignment::strict; }
};

// The limits of the rules themselves.
inline constexpr uint32_t kSmallestStoreBlock = 8;  // and the smallest boundary
inline constexpr uint32_t kLargestStoreBlock = 1u << 20;
inline constexpr uint32_t kLargestBoundary = 1u << 20;

// The shortest block of a strict function: a multiple of 8, more than 8.
inline constexpr uint32_t kSmallestStrictBlock = 16;

constexpr bool wellFormed(const Rules& rules) {
  const bool powerOfTwo = (rules.boundary & (rules.boundary - 1)) == 0;
  // What takes strict store blocks alone has to take the shortest.
  const uint32_t smallest = rules.blocksOnly() ? kSmallestStrictBlock : kSmallestStoreBlock;
  return rules.maxStoreBlock >= smallest && rules.maxStoreBlock <= kLargestStoreBlock && powerOfTwo &&
         rules.boundary >= smallest && rules.boundary <= kLargestBoundary;
}

// The first rule that a store block of `length` bytes at `offset` breaks, in the order in which ism-vfio-pci (relaxed)
// and the instruction (strict) look.
constexpr Rule broken(const Rules& rules, uint64_t offset, uint64_t length) {
  if (length == 0) return Rule::length;
  if (length > rules.maxStoreBlock) return Rule::maxStoreBlock;
  if ((offset & (rules.boundary - 1)) + length > rules.boundary) return Rule::boundary;
  if (rules.alignment == Alignment::strict) {
    if (offset % 8 != 0) return Rule::offsetAlignment;
    if (length % 8 != 0) return Rule::lengthAlignment;
    if (length <= 8) return Rule::length;
  }
  return Rule::none;
}

// What the kernel answers to a store block that breaks it: ism-vfio-pci looks at the first two itself, the others are a
// specification exception of the instruction [Linux drivers/vfio/pci/ism/main.c, arch/s390/pci/pci_insn.c].
constexpr int32_t errorNumberOf(Rule rule) {
  return rule == Rule::maxStoreBlock || rule == Rule::boundary ? EINVAL : ENXIO;
}

}  // namespace ismio
