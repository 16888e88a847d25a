// The merger: a stream of writes in, the fewest legal stores out. Like the planner it is pure: the caller's sink does
// the storing.
//
// It holds at most one store block back, the pending bytes [start, end), gathered in a buffer that is addressed by the
// offset inside the boundary window (a legal store never leaves its window):
//
//     window     |--------------------------------------------|
//     gathered             ####################
//     pending            start               end      due      due: where the longest store from start would end
//
// A write that begins at `end` is appended; whatever reaches `due` is issued at once. Where a strict function takes
// store blocks alone, the longest one may have to leave a word to what comes next (plan/planner.h): there `due` is two
// words further, unless the window ends before, and what is held back is that much longer. Bytes of a single write that
// fill a whole store go to the device straight from their source, without the gather buffer.
// Mode `any` also lays a write over, or before, the pending bytes, as long as all of it stays one store: then no other
// store can come between, and program order holds.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "plan/payload.h"
#include "plan/planner.h"

namespace ismio {

enum class Merge : uint8_t { none = 0, adjacent = 1, any = 2 };

// One store for the device, and the queued operations whose bytes it carries.
struct Issue {
  Piece piece;
  const uint8_t* bytes;
  uint32_t firstOperation;
  uint32_t lastOperation;
};

class Merger {
 public:
  Merger(const Rules& rules, Merge mode)
      : rules_(rules), mode_(mode), buffer_(new (std::nothrow) uint8_t[rules.boundary]) {}

  bool ready() const { return buffer_ != nullptr; }
  bool empty() const { return end_ == start_; }
  // The oldest operation that has bytes pending; meaningful while not empty.
  uint32_t firstPending() const { return first_; }
  void discard() { end_ = start_; }
  // How many writes were joined to the one before them since this was last asked.
  uint64_t takeMerged() { return std::exchange(merged_, 0); }
  // How often bytes were put into the gather buffer since this was last asked.
  uint64_t takeCopies() { return payload_.take(); }

  // Null: its stages are not timed.
  void time(StageClock* clock) { payload_.time(clock); }

  // For a caller that has whole words which continue the pending bytes: it may put up to `wordsThatFit` of them at
  // `end` itself, and says so with `grew`. Fewer than would complete a store, so nothing is issued.
  uint64_t wordsThatFit() const { return empty() || end_ == due_ ? 0 : (due_ - end_ - 1) / 8; }
  uint64_t end() const { return end_; }
  uint8_t* tail() { return gathered(end_); }
  void grew(uint64_t words, uint32_t last) {
    end_ += words * 8;
    merged_ += words;
    payload_.copied(words);
    last_ = last;
    scalarWidth_ = 0;
  }

  // Takes one write of `length` > 0 bytes. `scalar` marks a store of 1, 2, 4 or 8 bytes, which stays a store when
  // nothing joins it. The sink (`bool sink(const Issue&)`) says false when the device failed; so does `add` then.
  template <class Sink>
  bool add(uint64_t offset, const uint8_t* bytes, uint64_t length, bool scalar, uint32_t operation, Sink&& sink) {
    if (!empty()) {
      if (offset == end_ && end_ != due_) {
        merged_++;
      } else if (mode_ == Merge::any && fitsOneStore(offset, length)) {
        merged_++;
        overlay(offset, bytes, length, operation);
        return true;
      } else if (!flush(sink)) {
        return false;
      }
    }
    if (empty()) {
      begin(offset, operation, scalar ? static_cast<uint32_t>(length) : 0);
      fresh_ = true;
    }
    return append(bytes, length, operation, sink);
  }

  // Issues everything that is pending.
  template <class Sink>
  bool flush(Sink&& sink) {
    const auto issuing = [&] { return issuePending(sink); };
    StageClock* const clock = payload_.clock();
    if (clock != nullptr && !empty()) [[unlikely]]
      return timedIn(clock, Stage::plan, issuing);
    return issuing();
  }

 private:
  template <class Sink>
  bool issuePending(Sink& sink) {
    if (scalarWidth_ != 0 && scalarWidth_ == end_ - start_) {  // a store that nothing joined
      const Piece piece{start_, scalarWidth_, false};
      start_ = end_;
      return sink(Issue{piece, gathered(piece.offset), first_, last_});
    }
    while (!empty()) {
      const Piece piece = next(rules_, start_, end_ - start_);
      if (!issue(piece, gathered(start_), last_, sink)) return false;
      start_ += piece.length;
      if (!empty()) hold(start_, end_);
    }
    return true;
  }

  void begin(uint64_t offset, uint32_t operation, uint32_t scalarWidth) {
    hold(offset, offset);
    first_ = operation;
    last_ = operation;
    scalarWidth_ = scalarWidth;
  }

  void hold(uint64_t start, uint64_t end) {
    start_ = start;
    end_ = end;
    if (rules_.blocksOnly()) [[unlikely]] {
      due_ =
          start + least(nextBlock(rules_, start, kUnlimited).length + kSmallestStrictBlock, toBoundary(rules_, start));
    } else {
      due_ = start + nextStore(rules_, start, kUnlimited).length;
    }
    scalarWidth_ = 0;
  }

  uint8_t* gathered(uint64_t offset) { return buffer_.get() + (offset & (rules_.boundary - 1)); }

  template <class Sink>
  bool append(const uint8_t* bytes, uint64_t length, uint32_t operation, Sink& sink) {
    while (length >= due_ - end_) {
      const Piece piece = next(rules_, start_, due_ - start_);
      const uint64_t cut = piece.offset + piece.length;
      const bool direct = empty();
      const uint64_t wanted = cut > end_ ? cut - end_ : 0;
      if (!direct) payload_.copy(gathered(end_), bytes, wanted);
      if (!issue(piece, direct ? bytes : gathered(start_), operation, sink)) return false;
      bytes += wanted;
      length -= wanted;
      if (cut < end_) [[unlikely]] {
        hold(cut, end_);
      } else {
        begin(cut, operation, 0);
      }
      fresh_ = false;
      if (length == 0) return true;
    }
    if (length == 8) {
      payload_.copy(gathered(end_), bytes, 8);
    } else {
      payload_.copy(gathered(end_), bytes, length);
    }
    end_ += length;
    last_ = operation;
    return true;
  }

  bool fitsOneStore(uint64_t offset, uint64_t length) const {
    const uint64_t from = least(start_, offset);
    const uint64_t to = end_ > offset + length ? end_ : offset + length;
    const bool touches = offset <= end_ && offset + length >= start_;
    return touches && (fresh_ || offset >= start_) && next(rules_, from, to - from).length == to - from;
  }

  void overlay(uint64_t offset, const uint8_t* bytes, uint64_t length, uint32_t operation) {
    const uint64_t end = end_ > offset + length ? end_ : offset + length;
    hold(least(start_, offset), end);
    payload_.copy(gathered(offset), bytes, length);
    last_ = operation;
  }

  template <class Sink>
  bool issue(Piece piece, const uint8_t* bytes, uint32_t last, Sink& sink) {
    const bool lone = scalarWidth_ == piece.length && first_ == last;
    if (lone) piece.block = false;
    return sink(Issue{piece, bytes, first_, last});
  }

  const Rules rules_;
  const Merge mode_;
  std::unique_ptr<uint8_t[]> buffer_;
  Payload payload_;
  uint64_t start_ = 0;
  uint64_t end_ = 0;
  uint64_t due_ = 0;
  uint64_t merged_ = 0;
  uint32_t first_ = 0;
  uint32_t last_ = 0;
  uint32_t scalarWidth_ = 0;
  bool fresh_ = true;  // no earlier part of the pending writes was issued; else nothing is laid before them
};

}  // namespace ismio
