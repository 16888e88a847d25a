// The words that JavaScript and this addon share. src/addon/wire.ts has the same table; the two are compared when the
// addon is loaded, and a difference refuses to start.
//
// The ring, in four verbs:
//
//     claim     JavaScript finds a free entry: tail - head < depth (indices count up for ever, modulo 2^32)
//     fill      it writes the entry
//     publish   it hands [published, tail) over: by the call into native code, which orders everything before it; a
//               batch for the drain thread goes through a mutex, which does the same
//     reap      the thread that executes says in `completed`, with a release store, up to where it has no more use for
//               entries; JavaScript reads it with Atomics.load before it fills an entry again, so that what is filled
//               in comes after all that was read
//
//       completed   published      tail
//          |            |            |
//     -----#############************.......-----      # in flight   * filled   . free
//
// An entry is JavaScript's up to the publish, then native code's up to the reap. What became of operations does not
// stand in their entries, which may be filled anew before anybody has asked: a batch that failed leaves outcomes of its
// own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ismio::wire {

inline constexpr uint32_t kVersion = 3;

// The low byte of an entry's opcode word; a store has its width in bytes in the byte above, a fence its purpose, a
// series which half of a word comes first.
//
// A series is as many 8-byte stores as it has entries, so that an index is an operation's wherever. What they are is in
// the first entry, and their words lie one behind the other from the last 8 bytes of it on. Nothing else is filled:
//
//     entry      first             second            third
//             |---- ---- ---- ####|#### #### .... ....|.... .... .... ....|      # word   . nothing
//
// It is executed as it is, or unfolds into its stores in its place (native/exec/series.h). Entries of a series are free
// all at once.
enum class Opcode : uint32_t { store = 1, write = 2, load = 3, fence = 4, series = 5 };

// What became of an operation of a batch that failed; else all are done.
enum class State : uint32_t { done = 0, partial = 1, failed = 2, skipped = 3 };

struct Entry {
  double offset;  // in the region; whole, below 2^53
  union {
    struct {
      uint32_t low;  // store: the value, in halves
      uint32_t high;
    } value;
    double position;  // write, load: where the bytes are in their source
    double step;      // series: bytes from the offset of each store to that of the next
  };
  uint32_t opcode;
  union {
    uint32_t source;  // write, load: slot of the source
    uint32_t count;   // series: its entries, and stores
  };
  union {
    double length;     // write, load: bytes
    uint32_t word[2];  // series: the halves of its first word
  };

  Opcode kind() const { return static_cast<Opcode>(opcode & 0xff); }
  uint32_t width() const { return opcode >> 8; }
  uint32_t purpose() const { return opcode >> 8; }
  bool highFirst() const { return opcode >> 8 != 0; }
};

static_assert(sizeof(Entry) == 32, "two entries to a cache line");
static_assert(offsetof(Entry, offset) == 0);
static_assert(offsetof(Entry, value.low) == 8);
static_assert(offsetof(Entry, value.high) == 12);
static_assert(offsetof(Entry, position) == 8);
static_assert(offsetof(Entry, opcode) == 16);
static_assert(offsetof(Entry, source) == 20);
static_assert(offsetof(Entry, length) == 24);
static_assert(offsetof(Entry, step) == 8);
static_assert(offsetof(Entry, count) == 20);
static_assert(offsetof(Entry, word) == 24);

// What became of one operation, and which one it was. Written once, by the thread that executed the batch, and handed
// over with its report.
struct Outcome {
  double offset;
  double length;
  double done;      // bytes of this operation that went through
  uint32_t opcode;  // without the width
  uint32_t state;
};

static_assert(sizeof(Outcome) == 32);
static_assert(offsetof(Outcome, offset) == 0);
static_assert(offsetof(Outcome, length) == 8);
static_assert(offsetof(Outcome, done) == 16);
static_assert(offsetof(Outcome, opcode) == 24);
static_assert(offsetof(Outcome, state) == 28);

// In front of the entries, on a cache line of its own.
struct Header {
  std::atomic<uint32_t> completed;  // index up to which entries may be filled anew; never goes back
  uint32_t copied;    // pieces of payload that JavaScript has put into the staging memory since the last publish
  uint32_t timed;     // 1: stages are timed, JavaScript says when the first operation of a batch comes
  uint32_t observed;  // JavaScript's word: 1 where somebody wants to know when the next batch began and ended
  uint32_t unused[12];
};

static_assert(sizeof(Header) == 64);
static_assert(offsetof(Header, copied) == 4);
static_assert(offsetof(Header, timed) == 8);
static_assert(offsetof(Header, observed) == 12);
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// The answer to a call or a batch: one array of float64, because every value is exact in it.
enum Field : uint32_t {
  kStatus,
  kConditionCode,
  kDeviceStatus,
  kRule,
  kErrno,
  kTries,
  kOffset,
  kLength,
  kDone,
  kUnknownLoads,
  kIndex,
  kUnfinished,
  kOperations,
  kLoads,
  kStores,
  kStoreBlocks,
  kBytes,
  kMerged,
  kRetries,
  kErrors,
  kCopies,
  kBegan,
  kEnded,
  kLoss,
  kFields,
};

// Behind the answers: what a call of one narrow access asks for, since arguments would cost more than the access. The
// last of these words has the bytes of the access in the order of their addresses: those to be stored, or those loaded.
enum Request : uint32_t { kRegion = kFields, kPlace, kBytesMoved, kAnswerWords };

inline constexpr uint32_t kSmallestDepth = 1;
inline constexpr uint32_t kLargestDepth = 1u << 20;
inline constexpr uint32_t kStaging = 0;  // the slot of the queue's own staging memory

}  // namespace ismio::wire
