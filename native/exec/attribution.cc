#include "exec/attribution.h"

#include "plan/planner.h"

namespace ismio {

// The failure is told as that of the first operation, from `unfinished` on, that the access took down. Which one.
uint32_t Attribution::blame(uint32_t unfinished, uint32_t to) {
  for (uint32_t index = unfinished; index != to; index++) {
    uint64_t done = 0;
    const wire::State state = stateOf(index, ring_.at(index), done);
    if (state != wire::State::failed && state != wire::State::partial) continue;
    failure.done = done;
    return index;
  }
  return first;
}

std::shared_ptr<Memory> Attribution::outcomes(uint32_t from, uint32_t to) const {
  if (from == to) return nullptr;
  std::shared_ptr<Memory> memory = Memory::allocate(sizeof(wire::Outcome) * uint64_t{to - from});
  if (memory == nullptr) return nullptr;
  auto* outcome = reinterpret_cast<wire::Outcome*>(memory->base());
  for (uint32_t index = from; index != to; index++) *outcome++ = outcomeOf(index);
  return memory;
}

wire::Outcome Attribution::outcomeOf(uint32_t index) const {
  const wire::Entry& entry = ring_.at(index);
  uint64_t done = 0;
  const wire::State state = stateOf(index, entry, done);
  const bool told = entry.kind() != wire::Opcode::fence && !(refused && index == first);
  if (!told) return {0, 0, 0, static_cast<uint32_t>(wire::Opcode::fence), static_cast<uint32_t>(state)};
  const double length = entry.kind() == wire::Opcode::store ? entry.width() : entry.length;
  return {entry.offset, length, static_cast<double>(done), entry.opcode & 0xff, static_cast<uint32_t>(state)};
}

// An access covers the bytes of the operations [first, last]. They were issued from the lowest offset up,
// so what lies below the access that failed is done, and what lies above it was not begun. Only where writes are
// gathered can there be operations before these that are not done: writes that wait for the end of their gathering.
wire::State Attribution::stateOf(uint32_t index, const wire::Entry& entry, uint64_t& done) const {
  const bool stopped = failure.status == Status::aborted || failure.status == Status::closed;
  if (unbegun) return index == first && !stopped ? wire::State::failed : wire::State::skipped;
  const uint32_t behind = index - first;
  const bool waiting = behind > UINT32_MAX / 2;
  const bool shares = behind <= last - first;
  const bool alone = shares && first == last;
  const uint64_t length = lengthOf(entry);
  if ((waiting || shares) && !alone && !isWrite(entry)) {
    done = length;
    return wire::State::done;
  }
  if (!shares) return wire::State::skipped;

  uint64_t offset = 0;
  whole(entry.offset, offset);
  if (failure.offset > offset) done = least(failure.offset - offset, length);
  if (done > 0) return done == length ? wire::State::done : wire::State::partial;
  const bool above = !alone && offset >= failure.offset + failure.length;
  return above || stopped ? wire::State::skipped : wire::State::failed;
}

}  // namespace ismio
