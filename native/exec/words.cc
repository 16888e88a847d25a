// The executor's ways of 8-byte stores: several at once, in the accesses that they would be one by one.
#include <cstring>

#include "exec/executor.h"

namespace ismio {
namespace {

// How many 8-byte stores are handed to the backend together.
constexpr uint32_t kRun = 64;

}  // namespace

// 8-byte stores of which none can be merged are handed to the backend together.
bool Executor::takeWords(uint32_t to) {
  const uint64_t size = attachment_.region().traits().size;
  Word words[kRun];
  while (taken_ != to) {
    uint32_t count = 0;
    for (; count < kRun && taken_ + count != to; count++) {
      wire::Entry& entry = ring_.at(taken_ + count);
      uint64_t& offset = words[count].offset;
      if (entry.opcode != kStoreWord || !whole(entry.offset, offset) || offset % 8 != 0) break;
      if (offset >= size || size - offset < 8 || mayMerge(entry.offset, taken_ + count + 1, to)) break;
      std::memcpy(&words[count].bytes, valueBytes(entry), 8);  // a value, handed on
    }
    if (count == 0) return true;
    uint64_t done = 0;
    const Status status = issuer_.storeWords(words, count, done, failed_.failure);
    taken_ += static_cast<uint32_t>(done);
    if (status != Status::ok) return check(status, taken_, taken_);
    publish(taken_);
  }
  return true;
}

// Whether the operation that follows an 8-byte store at this offset might join it. Only where it is an 8-byte store
// itself, or a series, is it known not to: when it neither touches nor overlaps.
bool Executor::mayMerge(double offset, uint32_t following, uint32_t to) const {
  if (merge_ == Merge::none || following == to) return false;
  const wire::Entry& next = ring_.at(following);
  const double distance = next.offset - offset;
  const bool stores = next.opcode == kStoreWord || next.kind() == wire::Opcode::series;
  return !stores || (distance <= 8 && distance >= -8);
}

// The series at the next operation, to its end. One that has a store which is none is executed store by store, up to
// that.
bool Executor::takeSeries(uint32_t to) {
  if (!series_.begin(ring_, taken_, to, attachment_.region().traits().size)) {
    unfold(taken_, to);
    return true;
  }
  while (series_.has(taken_)) {
    if (!takeOfSeries(to)) return false;
  }
  return true;
}

// What comes next of it: stores that cannot be merged together, else those that continue what is gathered, else one.
bool Executor::takeOfSeries(uint32_t to) {
  const uint32_t next = taken_;
  if (merger_.empty()) {
    if (!storeSeries(to)) return false;
  } else {
    gatherWords(to);
  }
  if (taken_ != next) return true;
  const uint64_t word = series_.word(next);
  if (!takeWrite(next, series_.offset(next), reinterpret_cast<const uint8_t*>(&word), 8, true)) return false;
  taken_++;
  return true;
}

// The stores of the series of which none can be merged, as takeWords does.
bool Executor::storeSeries(uint32_t to) {
  Word words[kRun];
  for (uint32_t lone = loneOf(to); lone > 0;) {
    const uint32_t count = lone < kRun ? lone : kRun;
    for (uint32_t i = 0; i < count; i++) words[i] = {series_.offset(taken_ + i), series_.word(taken_ + i)};
    uint64_t done = 0;
    const Status status = issuer_.storeWords(words, count, done, failed_.failure);
    taken_ += static_cast<uint32_t>(done);
    if (status != Status::ok) return check(status, taken_, taken_);
    lone -= count;
  }
  return true;
}

// How many stores of the series from here on cannot be merged: all or none, but for the last, which may be joined by
// what follows.
uint32_t Executor::loneOf(uint32_t to) const {
  const uint32_t left = series_.left(taken_);
  const uint32_t last = taken_ + left - 1;
  const bool joined = mayMerge(static_cast<double>(series_.offset(last)), last + 1, to);
  if (merge_ != Merge::none && !series_.apart()) return left == 1 && !joined ? 1 : 0;
  return joined ? left - 1 : left;
}

// 8-byte stores of which each continues the one before are gathered in one go.
void Executor::gatherWords(uint32_t to) {
  const uint64_t start = merger_.end();
  const uint64_t size = attachment_.region().traits().size;
  if (start % 8 != 0 || merger_.wordsThatFit() == 0 || size <= start) return;
  const uint64_t most = least(least(merger_.wordsThatFit(), (size - start) / 8), to - taken_);
  const auto copying = [this, start, most] {
    return series_.has(taken_) ? copySeries(start, most) : copyWords(start, most);
  };
  const uint64_t words = clock_ == nullptr ? copying() : timedIn(clock_, Stage::copy, copying);
  if (words == 0) return;
  taken_ += static_cast<uint32_t>(words);
  merger_.grew(words, taken_ - 1);
}

// Puts the words that come next behind the pending bytes, as long as each continues the one before.
uint64_t Executor::copyWords(uint64_t start, uint64_t most) {
  uint8_t* target = merger_.tail();
  uint64_t words = 0;
  for (; words < most; words++, target += 8) {
    wire::Entry& entry = ring_.at(taken_ + static_cast<uint32_t>(words));
    if (entry.opcode != kStoreWord || entry.offset != static_cast<double>(start + words * 8)) break;
    Payload::copyWord(target, valueBytes(entry));
  }
  return words;
}

uint64_t Executor::copySeries(uint64_t start, uint64_t most) {
  if (series_.offset(taken_) != start) return 0;
  const uint64_t words = series_.sequential() ? least(most, series_.left(taken_)) : 1;
  series_.copyWords(merger_.tail(), taken_, words);
  return words;
}

}  // namespace ismio
