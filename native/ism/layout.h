// Where things lie in what the hardware and its driver share. Numbers are big-endian, bits numbered from the most
// significant [Linux drivers/s390/net/ism.h, struct ism_sba, struct ism_eq].
#pragma once

#include <cstdint>

namespace ismio::ism {

// Where a move goes, as an offset in BAR 0 [ism.h, ISM_CREATE_REQ]:
//
//     | token | 0000 | colour, 4 bits | signal | offset in the DMB, 23 bits |
//     63      32     28               24       23                           0
//
// That the low half of a token is zero is ours: it leaves room for all the rest [no public source says how a token is
// made].
inline constexpr uint32_t kTokenShift = 32;
inline constexpr uint32_t kColourShift = 24;
inline constexpr uint32_t kColours = 16;
inline constexpr uint64_t kSignal = 1u << 23;
inline constexpr uint64_t kOffsetMask = kSignal - 1;
// A BAR of 2^48 bytes has tokens of 16 bits.
inline constexpr uint32_t kTokens = 1u << 16;
inline constexpr uint64_t kPage = 4096;

inline constexpr uint32_t kDmbs = 1920;    // ISM_NR_DMBS
inline constexpr uint32_t kFirstDmb = 32;  // ISM_DMB_BIT_OFFSET
inline constexpr uint32_t kLargestDmb = 1u << 20;

// Signal bits area: one page.
inline constexpr uint32_t kSummary = 0x80;  // s, in byte 0
inline constexpr uint32_t kEvent = 0x40;    // e, there
inline constexpr uint32_t kDmbBits = 4;     // bytes from its start
inline constexpr uint32_t kDmbMasks = 256;  // 16 bits for each DMB

// Event queue: a header, entries behind it.
inline constexpr uint32_t kQueueHeader = 32;
inline constexpr uint32_t kQueueEntry = 32;
inline constexpr uint32_t kQueueEntries = 15;
inline constexpr uint32_t kQueueBytes = kQueueHeader + kQueueEntries * kQueueEntry;

// An event of a GID that has gone (gidGone of src/ism/wire.ts).
inline constexpr uint32_t kGidEvent = 1;
inline constexpr uint32_t kGidGone = 7;

// What a page holds lies in one page: bus addresses that are multiples of it.
inline constexpr bool aligned(uint64_t address) { return address % kPage == 0; }

}  // namespace ismio::ism
