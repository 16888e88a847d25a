#include "ism/fabric.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ism/port.h"

namespace ismio::ism {

Fabric::Fabric(bool direct) : direct_(direct) {}

Fabric::Fabric(const Adversary::Plan& plan)
    : direct_(false),
      adversary_(std::make_unique<Adversary>(plan, [this](const Adversary::Signal& signal) { raiseHeld(signal); })) {}

Fabric::~Fabric() {
  end();
  for (const std::atomic<Slot*>& slot : slots_) delete slot.load();
}

bool Fabric::join(uint64_t gid, Port& port, uint32_t& number) {
  const std::lock_guard lock(mutex_);
  if (!ports_.emplace(gid, &port).second) return false;
  number = joined_++;
  return true;
}

void Fabric::leave(uint64_t gid) {
  const std::lock_guard lock(mutex_);
  ports_.erase(gid);
}

Fabric::Slot* Fabric::slotOf(uint64_t token) const {
  const uint64_t number = token >> kTokenShift;
  return number < kTokens ? slots_[number].load(std::memory_order_acquire) : nullptr;
}

uint64_t Fabric::offer(Port& owner, const Dmb& dmb) {
  const std::lock_guard lock(mutex_);
  for (uint32_t tried = 0; tried < kTokens; tried++) {
    next_ = (next_ + 1) % kTokens;
    if (next_ == 0) continue;
    Slot* slot = slots_[next_].load(std::memory_order_relaxed);
    if (slot == nullptr) {
      slot = new Slot;
      slots_[next_].store(slot, std::memory_order_release);
    }
    const std::lock_guard held(slot->mutex);
    if (slot->owner != nullptr) continue;
    slot->owner = &owner;
    slot->life++;
    slot->dmb = dmb;
    offered_[&owner].push_back(next_);
    return uint64_t{next_} << kTokenShift;
  }
  return 0;
}

bool Fabric::release(const Port& owner, uint64_t token) {
  const std::lock_guard lock(mutex_);
  Slot* slot = token % (uint64_t{1} << kTokenShift) == 0 ? slotOf(token) : nullptr;
  if (slot == nullptr) return false;
  const std::lock_guard held(slot->mutex);
  if (slot->owner != &owner) return false;
  slot->owner = nullptr;
  std::erase(offered_[&owner], static_cast<uint32_t>(token >> kTokenShift));
  return true;
}

uint32_t Fabric::releaseAll(const Port& owner) {
  const std::lock_guard lock(mutex_);
  const auto found = offered_.find(&owner);
  if (found == offered_.end()) return 0;
  for (const uint32_t number : found->second) {
    Slot& slot = *slots_[number].load(std::memory_order_relaxed);
    const std::lock_guard held(slot.mutex);
    slot.owner = nullptr;
  }
  const auto released = static_cast<uint32_t>(found->second.size());
  offered_.erase(found);
  return released;
}

Refusal Fabric::move(const Port& sender, uint64_t token, const Move& move) {
  Slot* slot = slotOf(token);
  if (slot == nullptr) return Refusal::unknown;
  std::shared_ptr<device::Function> function;
  const std::lock_guard held(slot->mutex);
  if (slot->owner == nullptr) return Refusal::unknown;
  const Dmb& dmb = slot->dmb;
  if (dmb.sender != sender.gid) return Refusal::sender;
  if (move.offset > dmb.length || move.length > dmb.length - move.offset) return Refusal::bounds;
  if (adversary_ != nullptr) {
    return moveOpposed(sender, static_cast<uint32_t>(token >> kTokenShift), *slot, move, function);
  }
  return slot->owner->receive(dmb, move, function) ? Refusal::none : Refusal::memory;
}

int32_t Fabric::lane(const Port& sender, uint64_t token, device::Lane& made) {
  if (!direct_) return ENOTTY;
  Slot* slot = token % (uint64_t{1} << kTokenShift) == 0 ? slotOf(token) : nullptr;
  if (slot == nullptr) return ENOENT;
  std::shared_ptr<device::Function> function;
  const std::lock_guard held(slot->mutex);
  if (slot->owner == nullptr) return ENOENT;
  if (slot->dmb.sender != sender.gid) return EACCES;
  return slot->owner->lend(slot->dmb, made, function);
}

// The bytes, and then a signal of its own time, with the lock of the slot held.
Refusal Fabric::moveOpposed(const Port& sender, uint32_t number, const Slot& slot, const Move& move,
                            std::shared_ptr<device::Function>& held) {
  Move quiet = move;
  quiet.signal = false;
  if (slot.owner->dead()) return Refusal::unknown;
  if (!slot.owner->receive(slot.dmb, quiet, held)) return Refusal::memory;
  if (!move.signal) return Refusal::none;
  slot.owner->counts.signals.fetch_add(1, std::memory_order_relaxed);
  Adversary::Signal signal{number, slot.life, slot.owner, static_cast<uint16_t>(1u << move.colour)};
  if (adversary_->hold(signal, sender.number(), move.number)) return Refusal::none;
  signal.colours |= adversary_->join(signal);
  slot.owner->raiseSignals(*held, slot.dmb.index, signal.colours);
  adversary_->raised(signal);
  return Refusal::none;
}

// By the adversary's thread. The DMB may be another by now, or nobody's.
void Fabric::raiseHeld(const Adversary::Signal& signal) {
  std::shared_ptr<device::Function> function;
  {
    Slot& slot = *slots_[signal.slot].load(std::memory_order_acquire);
    const std::lock_guard held(slot.mutex);
    if (slot.owner == nullptr || slot.life != signal.life) return;
    function = slot.owner->function();
    if (function != nullptr) slot.owner->raiseSignals(*function, slot.dmb.index, signal.colours);
  }
  adversary_->raised(signal);
}

void Fabric::end() {
  if (adversary_ != nullptr) adversary_->end();
}

// The functions that were told are let go of when nothing is locked any more.
void Fabric::kill(Port& victim) {
  victim.die();
  std::vector<std::shared_ptr<device::Function>> functions;
  const std::lock_guard lock(mutex_);
  for (const auto& [gid, port] : ports_) {
    if (port != &victim) port->tell({kGidEvent, kGidGone, victim.gid, 0}, true, functions.emplace_back());
  }
}

}  // namespace ismio::ism
