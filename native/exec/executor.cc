#include "exec/executor.h"

#include <bit>
#include <cstring>

namespace ismio {
namespace {

// How often a long batch says how far it is.
constexpr uint32_t kPublishEvery = 64;

// How far ahead of the operation in work an entry is fetched.
constexpr uint32_t kAhead = 4;

// How many 8-byte stores, or store blocks, are handed to the backend together.
constexpr uint32_t kRun = 64;
constexpr uint32_t kBlocks = 16;

constexpr uint32_t kStoreWord = static_cast<uint32_t>(wire::Opcode::store) | 8 << 8;

// A store's value becomes bytes in the order of their addresses, least significant first.
uint8_t* valueBytes(wire::Entry& entry) {
  if constexpr (std::endian::native == std::endian::big) {
    entry.value.low = __builtin_bswap32(entry.value.low);
    entry.value.high = __builtin_bswap32(entry.value.high);
  }
  return reinterpret_cast<uint8_t*>(&entry.value);
}

Totals operator-(Totals a, const Totals& b) {
  a.crossings -= b.crossings;
  a.loads -= b.loads;
  a.stores -= b.stores;
  a.storeBlocks -= b.storeBlocks;
  a.bytes -= b.bytes;
  a.copies -= b.copies;
  a.merged -= b.merged;
  a.retries -= b.retries;
  a.errors -= b.errors;
  return a;
}

}  // namespace

Executor::Executor(const std::shared_ptr<Region>& region, const Ring& ring, const Sources& sources, Merge merge,
                   bool relaxed)
    : attachment_(region),
      ring_(ring),
      sources_(sources),
      merge_(merge),
      reorders_(merge == Merge::any && relaxed),
      rehearsal_(region->traits().rules.blocksOnly()
                     ? std::make_unique<Rehearsal>(region->traits().rules, merge, reorders_)
                     : nullptr),
      longWay_(reorders_ || rehearsal_ != nullptr),
      issuer_(attachment_),
      merger_(region->traits().rules, merge) {}

Report Executor::run(uint32_t from, uint32_t to, const Stop& stop, uint32_t copied) {
  clock_ = attachment_.clock();
  if (clock_ != nullptr) [[unlikely]]
    clock_->to(Stage::merge);
  merger_.time(clock_);
  Totals before;
  attachment_.counters().addTo(before);
  countCrossing(copied);
  failure_ = Failure{};
  refused_ = false;
  issuer_.watch(stop);
  gathering_ = from;
  taken_ = from;

  bool ok = rehearsal_ == nullptr || rehearse(from, to);
  for (uint32_t told = from; ok && taken_ != to;) {
    const uint32_t next = taken_;
    ok = takeRun(to);
    if (ok && taken_ == next) {
      ok = take(next);
      taken_ += ok ? 1 : 0;
    }
    if (!ok || taken_ - told < kPublishEvery || reorders_) continue;
    told = taken_;
    publish(merger_.empty() ? taken_ : merger_.firstPending());
  }
  ok = ok && settle();

  Report report;
  report.operations = to - from;
  report.unfinished = to - from;
  if (!ok) [[unlikely]] {
    const uint32_t unfinished = reorders_ || unbegun_ ? gathering_ : failedFirst_;
    report.index = blame(unfinished, to) - from;
    report.failure = failure_;
    report.unfinished = unfinished - from;
    report.outcomes = tell(unfinished, to);
    merger_.discard();
    overlay_.discard();
  }
  publish(to);
  attachment_.counters().merged.add(merger_.takeMerged());
  attachment_.counters().copies.add(merger_.takeCopies());
  Totals after;
  attachment_.counters().addTo(after);
  report.moved = after - before;
  if (clock_ != nullptr) [[unlikely]] {
    clock_->to(Stage::none);
    report.lastTick = ticks();
  }
  return report;
}

// Where a write may be more than the function can take, the batch is refused before anything of it is issued.
[[gnu::noinline, gnu::cold]] bool Executor::rehearse(uint32_t from, uint32_t to) {
  unbegun_ = false;
  const std::optional<uint32_t> stumble = rehearsal_->stumbles(ring_, sources_, from, to);
  if (!stumble.has_value()) return true;
  const wire::Entry& entry = ring_.at(*stumble);
  uint64_t offset = 0;
  whole(entry.offset, offset);
  unbegun_ = true;
  return check(issuer_.impossible(offset, lengthOf(entry), failure_), *stumble, *stumble);
}

// A batch is one call into native code, on whichever thread it runs. Its copies were made before it was handed over.
void Executor::countCrossing(uint32_t copied) {
  attachment_.counters().crossings.add(1);
  attachment_.counters().copies.add(copied);
}

Report Executor::skip(uint32_t from, uint32_t to, const Failure& why, uint32_t copied) {
  countCrossing(copied);
  failure_ = why;
  refused_ = false;
  failedFirst_ = from - 1;  // whatever is at fault, it is none of them
  failedLast_ = from - 1;
  Report report;
  report.failure = why;
  report.operations = to - from;
  report.outcomes = tell(from, to);
  report.moved.copies = copied;
  publish(to);
  return report;
}

// The short ways for what queues mostly carry, runs of operations of one kind. Takes none where the next one wants the
// long way, and stops at the first that does.
bool Executor::takeRun(uint32_t to) {
  if (longWay_) return true;
  const wire::Entry& next = ring_.at(taken_);
  if (next.opcode == kStoreWord) {
    if (merger_.empty()) return takeWords(to);
    gatherWords(to);
    return true;
  }
  return next.kind() != wire::Opcode::write || !merger_.empty() || takeBlocks(to);
}

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
      if (offset >= size || size - offset < 8 || mayMerge(entry, taken_ + count + 1, to)) break;
      std::memcpy(&words[count].bytes, valueBytes(entry), 8);  // a value, handed on
    }
    if (count == 0) return true;
    uint64_t done = 0;
    const Status status = issuer_.storeWords(words, count, done, failure_);
    taken_ += static_cast<uint32_t>(done);
    if (status != Status::ok) return check(status, taken_, taken_);
    publish(taken_);
  }
  return true;
}

// Whether the operation that follows this 8-byte store might join it. Only where it is an 8-byte store itself is it
// known not to: when it neither touches nor overlaps.
bool Executor::mayMerge(const wire::Entry& entry, uint32_t following, uint32_t to) const {
  if (merge_ == Merge::none || following == to) return false;
  const wire::Entry& next = ring_.at(following);
  const double distance = next.offset - entry.offset;
  return next.opcode != kStoreWord || (distance <= 8 && distance >= -8);
}

// 8-byte stores of which each continues the one before are gathered in one go.
void Executor::gatherWords(uint32_t to) {
  const uint64_t start = merger_.end();
  const uint64_t size = attachment_.region().traits().size;
  if (start % 8 != 0 || merger_.wordsThatFit() == 0 || size <= start) return;
  const uint64_t most = least(least(merger_.wordsThatFit(), (size - start) / 8), to - taken_);
  const auto copying = [this, start, most] { return copyWords(start, most); };
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

// Writes that are one whole store block each: nothing can join them in any mode, and they go to the backend together.
bool Executor::takeBlocks(uint32_t to) {
  Block blocks[kBlocks];
  while (taken_ != to) {
    uint32_t count = 0;
    while (count < kBlocks && taken_ + count != to && wholeBlock(ring_.at(taken_ + count), blocks[count])) count++;
    if (count == 0) return true;
    uint64_t done = 0;
    const Status status = issuer_.storeBlocks(blocks, count, done, failure_);
    taken_ += static_cast<uint32_t>(done);
    if (status != Status::ok) return check(status, taken_, taken_);
    publish(taken_);
  }
  return true;
}

bool Executor::wholeBlock(const wire::Entry& entry, Block& block) const {
  if (entry.kind() != wire::Opcode::write || !whole(entry.offset, block.offset)) return false;
  const Region& region = attachment_.region();
  const Piece piece = nextStore(region.traits().rules, block.offset, kUnlimited);
  if (!piece.block || entry.length != piece.length || !region.contains(block.offset, piece.length)) return false;
  block.source = bytesOf(sources_, entry, piece.length);
  block.length = piece.length;
  return block.source != nullptr;
}

bool Executor::take(uint32_t index) {
  wire::Entry& entry = ring_.at(index);
  // The bytes that operations move push the ring out of the near caches; a later entry is fetched back meanwhile.
  __builtin_prefetch(&ring_.at(index + kAhead));
  if (entry.kind() == wire::Opcode::fence) {
    if (entry.purpose() >= kFences) return refuse(Status::badEntry, index);
    if (!settle()) return false;
    issuer_.fence(static_cast<Fence>(entry.purpose()));
    return true;
  }
  const uint64_t length = lengthOf(entry);
  uint64_t offset = 0;
  if (!whole(entry.offset, offset) || !attachment_.region().contains(offset, length)) {
    return refuse(Status::outOfRange, index);
  }
  if (entry.kind() == wire::Opcode::store) {
    const bool width = length == 8 || length == 4 || length == 2 || length == 1;
    if (!width || (offset & (length - 1)) != 0) return refuse(Status::badEntry, index);
    return takeWrite(index, offset, valueBytes(entry), length, true);
  }
  uint8_t* bytes = bytesOf(sources_, entry, length);
  if (bytes == nullptr) return refuse(Status::badEntry, index);
  if (entry.kind() == wire::Opcode::write) return takeWrite(index, offset, bytes, length, false);
  if (entry.kind() == wire::Opcode::load) return takeLoad(index, offset, bytes, length);
  return refuse(Status::badEntry, index);
}

bool Executor::takeWrite(uint32_t index, uint64_t offset, const uint8_t* bytes, uint64_t length, bool scalar) {
  if (length == 0) return true;
  if (merge_ == Merge::none) {
    const Status status = scalar ? issuer_.store(offset, bytes, static_cast<uint32_t>(length), failure_)
                                 : issuer_.write(offset, bytes, length, failure_);
    return status == Status::ok || check(status, index, index);
  }
  if (reorders_) {
    overlay_.add(offset, length, bytes, scalar);
    return true;
  }
  return merger_.add(offset, bytes, length, scalar, index, [this](const Issue& what) { return issue(what); });
}

// A load waits for the writes before it: for all of them where order is strict, else for those that it would see, and
// those whose source it would overwrite.
bool Executor::takeLoad(uint32_t index, uint64_t offset, uint8_t* target, uint64_t length) {
  const bool waits = !reorders_ || overlay_.meets(offset, target, length);
  if (waits && !settle()) return false;
  const Status status = issuer_.read(offset, target, length, failure_);
  countCopyBack(index, status == Status::ok ? length : failure_.done);
  return status == Status::ok || check(status, index, index);
}

// What is loaded into the staging memory, the caller's side copies to its target.
void Executor::countCopyBack(uint32_t index, uint64_t loaded) {
  if (ring_.at(index).source == wire::kStaging && loaded > 0) attachment_.counters().copies.add(1);
}

// Issues every write that was taken and is still held back.
bool Executor::settle() {
  const auto sink = [this](const Issue& what) { return issue(what); };
  if (!overlay_.empty()) {
    const uint32_t last = taken_ - 1;
    for (const Fragment& fragment : overlay_.resolve()) {
      if (!merger_.add(fragment.offset, fragment.bytes, fragment.length, fragment.scalar, last, sink)) return false;
    }
  }
  if (!merger_.flush(sink)) return false;
  gathering_ = taken_;
  return true;
}

bool Executor::issue(const Issue& what) {
  const Status status = issuer_.issue(what.piece, what.bytes, failure_);
  return status == Status::ok || check(status, reorders_ ? gathering_ : what.firstOperation, what.lastOperation);
}

// An entry that cannot be executed at all: nothing of it is reported but that it was refused.
bool Executor::refuse(Status status, uint32_t index) {
  failure_ = Failure{};
  refused_ = true;
  return check(status, index, index);
}

bool Executor::check(Status status, uint32_t first, uint32_t last) {
  failure_.status = status;
  failedFirst_ = first;
  failedLast_ = last;
  return false;
}

// The failure is told as that of the first operation, from `unfinished` on, that the access took down. Which one.
uint32_t Executor::blame(uint32_t unfinished, uint32_t to) {
  for (uint32_t index = unfinished; index != to; index++) {
    uint64_t done = 0;
    const wire::State state = stateOf(index, ring_.at(index), done);
    if (state != wire::State::failed && state != wire::State::partial) continue;
    failure_.done = done;
    return index;
  }
  return failedFirst_;
}

std::shared_ptr<Memory> Executor::tell(uint32_t from, uint32_t to) const {
  if (from == to) return nullptr;
  std::shared_ptr<Memory> memory = Memory::allocate(sizeof(wire::Outcome) * uint64_t{to - from});
  if (memory == nullptr) return nullptr;
  auto* outcome = reinterpret_cast<wire::Outcome*>(memory->base());
  for (uint32_t index = from; index != to; index++) *outcome++ = outcomeOf(index);
  return memory;
}

wire::Outcome Executor::outcomeOf(uint32_t index) const {
  const wire::Entry& entry = ring_.at(index);
  uint64_t done = 0;
  const wire::State state = stateOf(index, entry, done);
  const bool told = entry.kind() != wire::Opcode::fence && !(refused_ && index == failedFirst_);
  if (!told) return {0, 0, 0, static_cast<uint32_t>(wire::Opcode::fence), static_cast<uint32_t>(state)};
  const double length = entry.kind() == wire::Opcode::store ? entry.width() : entry.length;
  return {entry.offset, length, static_cast<double>(done), entry.opcode & 0xff, static_cast<uint32_t>(state)};
}

// An access covers the bytes of the operations [failedFirst_, failedLast_]. They were issued from the lowest offset up,
// so what lies below the access that failed is done, and what lies above it was not begun. Only where writes are
// gathered can there be operations before these that are not done: writes that wait for the end of their gathering.
wire::State Executor::stateOf(uint32_t index, const wire::Entry& entry, uint64_t& done) const {
  const bool stopped = failure_.status == Status::aborted || failure_.status == Status::closed;
  if (unbegun_) return index == failedFirst_ && !stopped ? wire::State::failed : wire::State::skipped;
  const uint32_t behind = index - failedFirst_;
  const bool waiting = behind > UINT32_MAX / 2;
  const bool shares = behind <= failedLast_ - failedFirst_;
  const bool alone = shares && failedFirst_ == failedLast_;
  const uint64_t length = lengthOf(entry);
  if ((waiting || shares) && !alone && !isWrite(entry)) {
    done = length;
    return wire::State::done;
  }
  if (!shares) return wire::State::skipped;

  uint64_t offset = 0;
  whole(entry.offset, offset);
  if (failure_.offset > offset) done = least(failure_.offset - offset, length);
  if (done > 0) return done == length ? wire::State::done : wire::State::partial;
  const bool above = !alone && offset >= failure_.offset + failure_.length;
  return above || stopped ? wire::State::skipped : wire::State::failed;
}

}  // namespace ismio
