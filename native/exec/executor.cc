#include "exec/executor.h"

namespace ismio {
namespace {

// How often a long batch says how far it is.
constexpr uint32_t kPublishEvery = 64;

// How far ahead of the operation in work an entry is fetched.
constexpr uint32_t kAhead = 4;

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
      merger_(region->traits().rules, merge),
      failed_(ring_) {}

// Whatever comes before the oldest operation that has bytes pending is done. Where that one is in a series, all of the
// series stays, and where it comes before the last one, nobody knows in which.
void Executor::publishDone() {
  const uint32_t oldest = merger_.empty() ? taken_ : merger_.firstPending();
  if (series_.has(oldest)) return publish(series_.first());
  if (oldest - series_.first() <= UINT32_MAX / 2) publish(oldest);
}

// The short ways for what queues mostly carry, runs of operations of one kind. Takes none where the next one wants the
// long way, and stops at the first that does.
inline bool Executor::takeRun(uint32_t to) {
  if (longWay_) return true;
  const wire::Entry& next = ring_.at(taken_);
  if (next.kind() == wire::Opcode::series) return takeSeries(to);
  if (next.opcode == kStoreWord) {
    if (merger_.empty()) return takeWords(to);
    gatherWords(to);
    return true;
  }
  return next.kind() != wire::Opcode::write || !merger_.empty() || takeBlocks(to);
}

Report Executor::run(uint32_t from, uint32_t to, const Stop& stop, uint32_t copied) {
  clock_ = attachment_.clock();
  if (clock_ != nullptr) [[unlikely]]
    clock_->to(Stage::merge);
  merger_.time(clock_);
  Totals before;
  attachment_.counters().addTo(before);
  countCrossing(copied);
  failed_.failure = Failure{};
  failed_.refused = false;
  issuer_.watch(stop);
  gathering_ = from;
  taken_ = from;
  free_ = from;
  series_.end(from);
  if (longWay_) [[unlikely]]
    unfold(from, to);

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
    publishDone();
  }
  ok = ok && settle();

  Report report;
  report.operations = to - from;
  report.unfinished = to - from;
  if (!ok) [[unlikely]] {
    unfold(free_, to);
    const uint32_t unfinished = reorders_ || failed_.unbegun ? gathering_ : failed_.first;
    report.index = failed_.blame(unfinished, to) - from;
    report.failure = failed_.failure;
    report.unfinished = unfinished - from;
    report.outcomes = failed_.outcomes(unfinished, to);
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
  failed_.unbegun = false;
  const std::optional<uint32_t> stumble = rehearsal_->stumbles(ring_, sources_, from, to);
  if (!stumble.has_value()) return true;
  const wire::Entry& entry = ring_.at(*stumble);
  uint64_t offset = 0;
  whole(entry.offset, offset);
  failed_.unbegun = true;
  return check(issuer_.impossible(offset, lengthOf(entry), failed_.failure), *stumble, *stumble);
}

// A batch is one call into native code, on whichever thread it runs. Its copies were made before it was handed over.
void Executor::countCrossing(uint32_t copied) {
  attachment_.counters().crossings.add(1);
  attachment_.counters().copies.add(copied);
}

Report Executor::skip(uint32_t from, uint32_t to, const Failure& why, uint32_t copied) {
  countCrossing(copied);
  failed_.failure = why;
  failed_.refused = false;
  failed_.first = from - 1;  // whatever is at fault, it is none of them
  failed_.last = from - 1;
  unfold(from, to);
  Report report;
  report.failure = why;
  report.operations = to - from;
  report.outcomes = failed_.outcomes(from, to);
  report.moved.copies = copied;
  publish(to);
  return report;
}

// Writes that are one store block each, and that nothing can join, go to the backend together.
bool Executor::takeBlocks(uint32_t to) {
  Block blocks[kMostBlocksTogether];
  const uint32_t most = attachment_.region().backend().blocksTogether;
  while (taken_ != to) {
    if (!isBlock(ring_.at(taken_), blocks[0])) return true;
    uint64_t done = 0;
    uint32_t count = spanFrom(blocks[0], to);
    Status status;
    if (count > 1) {
      status = issuer_.storeSpan(blocks[0], count, done, failed_.failure);
    } else {
      while (count < most && taken_ + count != to && isBlock(ring_.at(taken_ + count), blocks[count])) count++;
      status = issuer_.storeBlocks(blocks, count, done, failed_.failure);
    }
    taken_ += static_cast<uint32_t>(done);
    if (status != Status::ok) return check(status, taken_, taken_);
    publish(taken_);
  }
  return true;
}

// Nothing joins a write that is the longest block there is at its place, and none does without merging.
bool Executor::isBlock(const wire::Entry& entry, Block& block) const {
  uint64_t length = 0;
  if (entry.kind() != wire::Opcode::write || !whole(entry.offset, block.offset)) return false;
  if (!whole(entry.length, length) || length == 0) return false;
  const Region& region = attachment_.region();
  const Piece piece = nextStore(region.traits().rules, block.offset, merge_ == Merge::none ? length : kUnlimited);
  if (!piece.block || piece.length != length || !region.contains(block.offset, length)) return false;
  block.source = bytesOf(sources_, entry, length);
  block.length = piece.length;
  return block.source != nullptr;
}

// How many entries from here on are blocks like the first, each behind the one before it, on both sides. Where the
// length is a power of two that divides the offset, none of them crosses a boundary; where writes are merged, only the
// longest blocks that there are cannot be joined with their neighbours. (Whole numbers of this size add up exactly in a
// double.)
uint32_t Executor::spanFrom(const Block& first, uint32_t to) const {
  const RegionTraits& traits = attachment_.region().traits();
  const uint32_t length = first.length;
  const bool within =
      (length & (length - 1)) == 0 && length <= traits.rules.boundary && (first.offset & (length - 1)) == 0;
  const bool joined = merge_ != Merge::none && length != least(traits.rules.boundary, traits.rules.maxStoreBlock);
  if (!within || joined) return 1;
  const wire::Entry& begin = ring_.at(taken_);
  const uint64_t left = sources_.at(begin.source)->size() - static_cast<uint64_t>(begin.position);
  const uint64_t most =
      spanOf(length, least(traits.size - first.offset, left), attachment_.region().backend().blocksTogether);
  uint32_t count = 1;
  for (double ahead = length; count < most && taken_ + count != to; count++, ahead += length) {
    const wire::Entry& entry = ring_.at(taken_ + count);
    const bool follows = entry.opcode == begin.opcode && entry.source == begin.source && entry.length == begin.length &&
                         entry.offset == begin.offset + ahead && entry.position == begin.position + ahead;
    if (!follows) break;
  }
  return count;
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
    const Status status = scalar ? issuer_.store(offset, bytes, static_cast<uint32_t>(length), failed_.failure)
                                 : issuer_.write(offset, bytes, length, failed_.failure);
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
  const Status status = issuer_.read(offset, target, length, failed_.failure);
  countCopyBack(index, status == Status::ok ? length : failed_.failure.done);
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
  const Status status = issuer_.issue(what.piece, what.bytes, failed_.failure);
  return status == Status::ok || check(status, reorders_ ? gathering_ : what.firstOperation, what.lastOperation);
}

// An entry that cannot be executed at all: nothing of it is reported but that it was refused.
bool Executor::refuse(Status status, uint32_t index) {
  failed_.failure = Failure{};
  failed_.refused = true;
  return check(status, index, index);
}

bool Executor::check(Status status, uint32_t first, uint32_t last) {
  failed_.failure.status = status;
  failed_.first = first;
  failed_.last = last;
  return false;
}

}  // namespace ismio
