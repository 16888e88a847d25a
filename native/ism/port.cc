#include "ism/port.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <endian.h>
#include <utility>

#include "ism/signals.h"

namespace ismio::ism {
namespace {

// The format of a time is ours: that of the TOD clock, 2^12 units a microsecond since 1900.
uint64_t timeOfDay() {
  constexpr uint64_t kFrom1900 = 2'208'988'800;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return ((static_cast<uint64_t>(now.tv_sec) + kFrom1900) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000)
         << 12;
}

// In the place of a token that is not known yet. (Slots are taken and given back without this port's lock: a move that
// holds one wants it for the signal.)
constexpr uint64_t kTaken = 1;

template <class Int>
void put(uint8_t* at, Int value) {
  memcpy(at, &value, sizeof value);
}

}  // namespace

Port::~Port() { leave(); }

int32_t Port::store(uint64_t offset, const uint8_t* source, uint32_t length, uint8_t& status) {
  const uint64_t token = offset >> kTokenShift << kTokenShift;
  const auto place = static_cast<uint32_t>(offset);
  Move move{source, length, static_cast<uint32_t>(place & kOffsetMask), place >> kColourShift, (place & kSignal) != 0};
  uint8_t word[8];
  if (reversed_ && length == sizeof word) {
    std::reverse_copy(source, source + length, word);
    move.source = word;
  }
  Refusal refusal = Refusal::none;
  int32_t refused = 0;
  if (move.colour >= kColours || token == 0 || length == 0)
    refusal = Refusal::address;
  else if (move.offset % kPage + length > kPage)
    refusal = Refusal::page;
  else if (Adversary* adversary = fabric_->adversary())
    refused = opposed(*adversary, token, move, refusal);
  else
    refusal = fabric_->move(*this, token, move);
  if (refused != 0) return refused;
  if (refusal != Refusal::none) {
    // Its own device refused it: the status register is to say so.
    if (const auto function = function_.lock()) function->refused.store(true);
    counts.refused[static_cast<size_t>(refusal)].fetch_add(1, std::memory_order_relaxed);
    status = static_cast<uint8_t>(refusal);
    return EIO;
  }
  counts.moves.fetch_add(1, std::memory_order_relaxed);
  counts.movedBytes.fetch_add(length, std::memory_order_relaxed);
  return 0;
}

// A driver tries again what was busy: each try is a move of its own.
int32_t Port::opposed(Adversary& adversary, uint64_t token, Move& move, Refusal& refusal) {
  refusal = Refusal::dead;
  if (dead()) return 0;
  move.number = attempts_.fetch_add(1, std::memory_order_relaxed);
  const auto strikes = [&](Mischief mischief) { return adversary.strikes(mischief, number_, move.number); };
  if (strikes(Mischief::busy)) return EBUSY;
  refusal = Refusal::failed;
  if (strikes(Mischief::fail)) return 0;
  const bool dies = strikes(Mischief::kill);
  if (dies) move.signal = false;
  refusal = fabric_->move(*this, token, move);
  if (!dies) return 0;
  fabric_->kill(*this);
  refusal = Refusal::dead;
  return 0;
}

int32_t Port::registerSba(uint64_t iova) {
  const auto function = function_.lock();
  const std::lock_guard lock(mutex_);
  if (sba_.has_value()) return EBUSY;
  if (!aligned(iova)) return EINVAL;
  if (function == nullptr || !function->dma.with(iova, kPage, [](uint8_t*) {})) return EFAULT;
  sba_ = iova;
  return 0;
}

int32_t Port::registerQueue(uint64_t iova, uint64_t length) {
  const auto function = function_.lock();
  const std::lock_guard lock(mutex_);
  if (queue_.has_value()) return EBUSY;
  if (!aligned(iova) || length != kQueueBytes) return EINVAL;
  const auto begin = [](uint8_t* queue) {
    put(queue, uint64_t{0});
    put(queue + 8, htobe64(kQueueBytes));
    put(queue + 16, htobe64(kQueueEntry));
  };
  if (function == nullptr || !function->dma.with(iova, length, begin)) return EFAULT;
  queue_ = iova;
  entry_ = 0;
  return 0;
}

bool Port::unregisterSba() {
  const std::lock_guard lock(mutex_);
  return std::exchange(sba_, std::nullopt).has_value();
}

bool Port::unregisterQueue() {
  const std::lock_guard lock(mutex_);
  return std::exchange(queue_, std::nullopt).has_value();
}

// The memory is looked for now, and again with each move: a driver may unmap what it has registered.
int32_t Port::registerDmb(const Dmb& dmb, uint64_t& token) {
  const bool place = aligned(dmb.iova) && dmb.length > 0 && dmb.length <= kLargestDmb &&
                     dmb.iova % kLargestDmb + dmb.length <= kLargestDmb;
  if (!place || dmb.index < kFirstDmb || dmb.index >= kDmbs) return EINVAL;
  const auto function = function_.lock();
  if (function == nullptr || !function->dma.covers(dmb.iova, dmb.length)) return EFAULT;
  {
    const std::lock_guard lock(mutex_);
    if (tokens_[dmb.index] != 0) return EEXIST;
    tokens_[dmb.index] = kTaken;
  }
  token = fabric_->offer(*this, dmb);
  const std::lock_guard lock(mutex_);
  tokens_[dmb.index] = token;
  return token == 0 ? ENOSPC : 0;
}

bool Port::unregisterDmb(uint64_t token) {
  if (token == 0 || !fabric_->release(*this, token)) return false;
  const std::lock_guard lock(mutex_);
  std::ranges::replace(tokens_, token, uint64_t{0});
  return true;
}

uint32_t Port::dmbs() {
  const std::lock_guard lock(mutex_);
  return kDmbs - static_cast<uint32_t>(std::ranges::count(tokens_, uint64_t{0}));
}

void Port::clear() {
  forget();
  dead_ = false;
}

void Port::die() {
  dead_ = true;
  forget();
}

void Port::forget() {
  fabric_->releaseAll(*this);
  const std::lock_guard lock(mutex_);
  tokens_.fill(0);
  sba_.reset();
  queue_.reset();
}

void Port::leave() {
  clear();
  if (std::exchange(joined_, false)) fabric_->leave(gid);
}

bool Port::receive(const Dmb& dmb, const Move& move, std::shared_ptr<device::Function>& held) {
  const std::shared_ptr<device::Function> function = held = function_.lock();
  if (function == nullptr || !function->masters.load()) return false;
  if (function->dma.writeNear(dmb.iova + move.offset, move.source, move.length) != 0) return false;
  counts.received.fetch_add(1, std::memory_order_relaxed);
  if (!move.signal) return true;
  counts.signals.fetch_add(1, std::memory_order_relaxed);
  raiseSignals(*function, dmb.index, static_cast<uint16_t>(1u << move.colour));
  return true;
}

int32_t Port::lane(uint64_t token, device::Lane& made) {
  const int32_t refused = fabric_->lane(*this, token, made);
  if (refused == 0) counts.lanes.fetch_add(1, std::memory_order_relaxed);
  return refused;
}

int32_t Port::lend(const Dmb& dmb, device::Lane& made, std::shared_ptr<device::Function>& held) {
  const std::shared_ptr<device::Function> function = held = function_.lock();
  const std::lock_guard lock(mutex_);
  if (function == nullptr || !function->masters.load() || !sba_.has_value()) return ENXIO;
  auto& [memory, signals, interrupt] = made.descriptors;
  memory = function->dma.share(dmb.iova, dmb.length);
  signals = function->dma.share(*sba_, kPage);
  if (memory < 0 || signals < 0) return ENXIO;
  interrupt = function->interrupts.share(device::Irq::msix, 0);
  if (interrupt < 0) interrupt = function->interrupts.share(device::Irq::msi, 0);
  if (interrupt < 0) return EAGAIN;
  made.length = dmb.length;
  made.index = dmb.index;
  return 0;
}

// First what is looked at last: mask, bit of the DMB, summary bit, interrupt. Where a driver of this process has not
// taken colour and bit of before, it will look at the memory behind that, and is not told again.
void Port::raiseSignals(device::Function& function, uint32_t index, uint16_t colours) {
  const bool near = function.near.load();
  const std::lock_guard lock(mutex_);
  raise(function, kSummary, [&](uint8_t* sba) {
    const bool were = raiseMask(sba, index, colours);
    if (near && were && raised(sba, index)) return false;
    raiseBit(sba, index);
    return true;
  });
}

bool Port::tell(const Event& event, bool interrupt, std::shared_ptr<device::Function>& held) {
  const std::shared_ptr<device::Function> function = held = function_.lock();
  const std::lock_guard lock(mutex_);
  if (function == nullptr || !function->masters.load() || !queue_.has_value()) return false;
  const auto write = [&](uint8_t* queue) {
    uint8_t* entry = queue + kQueueHeader + size_t{entry_} * kQueueEntry;
    put(entry, htobe32(event.type));
    put(entry + 4, htobe32(event.code));
    put(entry + 8, htobe64(event.token));
    put(entry + 16, htobe64(timeOfDay()));
    put(entry + 24, htobe64(event.info));
    entry_ = (entry_ + 1) % kQueueEntries;
    // Of the entry written, plus one: 1 to 15.
    const uint64_t index = entry_ == 0 ? kQueueEntries : entry_;
    __atomic_store_n(reinterpret_cast<uint64_t*>(queue), htobe64(index), __ATOMIC_SEQ_CST);
  };
  if (!function->dma.with(*queue_, kQueueBytes, write)) return false;
  counts.events.fetch_add(1, std::memory_order_relaxed);
  if (interrupt) raise(*function, kEvent, [](uint8_t*) { return true; });
  return true;
}

// `mark` sets what stands beneath the bit, and answers whether that is to be raised. A driver in this process clears
// its bits by atomic instructions, and looks at all the rest behind that: while a bit is still up, it has an interrupt
// before it. One behind a kernel of its own may clear them as it likes.
template <class Mark>
void Port::raise(device::Function& function, uint32_t bit, Mark mark) {
  bool interrupts = false;
  if (!sba_.has_value() || !function.masters.load()) return;
  function.dma.with(*sba_, kPage, [&](uint8_t* sba) {
    if (!mark(sba)) return;
    const uint8_t before = __atomic_fetch_or(sba, static_cast<uint8_t>(bit), __ATOMIC_SEQ_CST);
    interrupts = !function.near.load() || (before & bit) == 0;
  });
  if (!interrupts) return;
  counts.interrupts.fetch_add(1, std::memory_order_relaxed);
  // While the driver has enabled neither, either may come to be the one: it is pending in both.
  const bool msix = function.interrupts.enabled(device::Irq::msix, 0);
  const bool msi = function.interrupts.enabled(device::Irq::msi, 0);
  if (msix || !msi) function.raise(device::Irq::msix, 0);
  if (!msix) function.raise(device::Irq::msi, 0);
}

}  // namespace ismio::ism
