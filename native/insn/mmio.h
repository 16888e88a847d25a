// Access to mapped device memory: the contract that every CPU's kernel keeps.
//
//   - An access is exactly as wide as its name says, and is made exactly once. Nothing is vectorised, combined, split,
//     repeated or left out; no library copy routine touches the device side.
//   - A run goes up: the lower address first. Bytes keep the order of their addresses, on every CPU.
//   - storeBlock: naturally aligned stores of 1, 2 and 4 bytes up to the first multiple of 8, 8-byte stores, then 4, 2
//     and 1. burst: the same, with 64-byte stores wherever a multiple of 64 begins; only for mappings where the caller
//     opted in (write combining), because the device then sees 64 bytes at a time.
//   - fence: every store before it is visible to the device before any access after it. Fences for a purpose are in
//     insn/order.h; they do not depend on the mapping.
//   - On plain mappings an access cannot fail; on IBM Z it can: it then answers with a condition code or an errno.
//
// Sources and targets on the memory side have any alignment.
#pragma once

#include <cstdint>

#include "access/rules.h"
#include "access/status.h"

namespace ismio {

struct Mmio {
  const char* name;
  bool plain;  // ordinary loads and stores do it: a caller may make narrow accesses in place (insn/plain.h)
  Status (*load)(const uint8_t* address, uint8_t* target, uint32_t width, Failure& failure);
  Status (*loadWords)(const uint8_t* address, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure);
  Status (*store)(uint8_t* address, const uint8_t* source, uint32_t width, Failure& failure);
  Status (*storeBlock)(uint8_t* address, const uint8_t* source, uint32_t length, Failure& failure);
  void (*fence)();
  Rules rules{};  // what it takes as a store block, where that is less than any
  // A store block from a source that is no multiple of this is copied first, onto the stack. A power of two.
  uint32_t sourceAlignment = 1;
};

// What this CPU offers, found out once.
struct Kernels {
  const char* cpu;       // "x86-64", "aarch64", "s390x", "portable"
  const Mmio* memory;    // kind 'memory': any access will do, so the fastest copy; none of the contract above
  const Mmio* mapped;    // kind 'device': mappings of ordinary memory and, but for s390x, of PCI BARs
  const Mmio* burst;     // the same with 64-byte bursts; null where the CPU has none
  const Mmio* resource;  // mappings of PCI BARs
};

const Kernels& kernels();

}  // namespace ismio
