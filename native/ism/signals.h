// Signals as the bits of them stand in the memory of whoever is signalled (layout.h). Bits are set in the order in
// which nobody looks past one that is not there yet: mask, bit of the DMB, summary.
#pragma once

#include <cstdint>
#include <endian.h>

#include "ism/layout.h"

namespace ismio::ism {

// A bit for each colour. Whether all were there already.
inline bool raiseMask(uint8_t* sba, uint32_t index, uint16_t colours) {
  const uint16_t raised = htobe16(colours);
  auto* masks = reinterpret_cast<uint16_t*>(sba + kDmbMasks);
  return (__atomic_fetch_or(masks + index, raised, __ATOMIC_SEQ_CST) & raised) == raised;
}

inline uint8_t* byteOf(uint8_t* sba, uint32_t index) { return sba + kDmbBits + index / 8; }
inline uint8_t bitOf(uint32_t index) { return static_cast<uint8_t>(0x80u >> index % 8); }

inline bool raised(uint8_t* sba, uint32_t index) {
  return (__atomic_load_n(byteOf(sba, index), __ATOMIC_SEQ_CST) & bitOf(index)) != 0;
}

inline void raiseBit(uint8_t* sba, uint32_t index) {
  __atomic_fetch_or(byteOf(sba, index), bitOf(index), __ATOMIC_SEQ_CST);
}

inline void raiseSummary(uint8_t* sba) { __atomic_fetch_or(sba, static_cast<uint8_t>(kSummary), __ATOMIC_SEQ_CST); }

}  // namespace ismio::ism
