#include "ism/adversary.h"

#include <algorithm>
#include <utility>

namespace ismio::ism {
namespace {

// The output function of splitmix64 (Steele, Lea, Flood 2014): every bit of the answer depends on every bit of `z`.
uint64_t mixed(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

// Apart from the numbers of the mischiefs, which decide whether there is any.
constexpr uint64_t kHowLong = kMischiefs;

bool same(const Adversary::Signal& one, const Adversary::Signal& other) {
  return one.slot == other.slot && one.life == other.life;
}

}  // namespace

Adversary::Adversary(const Plan& plan, Raise raise) : plan_(plan), raise_(std::move(raise)) {
  thread_ = std::thread([this] { run(); });
}

Adversary::~Adversary() { end(); }

// No state: what others do meanwhile changes nothing.
uint64_t Adversary::draw(uint64_t salt, uint32_t function, uint64_t move) const {
  return mixed(mixed(mixed(mixed(plan_.seed) + salt) + function) + move);
}

bool Adversary::strikes(Mischief mischief, uint32_t function, uint64_t move) {
  const auto index = static_cast<size_t>(mischief);
  if (plan_.rates[index] == 0 || draw(index, function, move) % 1000 >= plan_.rates[index]) return false;
  counts_[index].fetch_add(1, std::memory_order_relaxed);
  return true;
}

// A delay is anything up to the latest; what waits for something else may wait so long for it.
Adversary::Clock::time_point Adversary::dueOf(Mischief why, uint32_t function, uint64_t move) const {
  std::chrono::microseconds wait = plan_.latest;
  if (why == Mischief::delay) {
    wait = std::chrono::microseconds(1 + draw(kHowLong, function, move) % static_cast<uint64_t>(wait.count()));
  }
  return Clock::now() + wait;
}

bool Adversary::hold(const Signal& signal, uint32_t function, uint64_t move) {
  for (const Mischief why : {Mischief::delay, Mischief::coalesce, Mischief::reorder}) {
    if (!strikes(why, function, move)) continue;
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    const auto known =
        std::ranges::find_if(held_, [&](const Held& held) { return held.why == why && same(held.signal, signal); });
    // On their way, signals of one DMB are one.
    if (known != held_.end())
      known->signal.colours |= signal.colours;
    else
      held_.push_back({signal, why, dueOf(why, function, move)});
    changed_.notify_one();
    return true;
  }
  return false;
}

uint16_t Adversary::join(const Signal& signal) {
  const std::lock_guard lock(mutex_);
  uint16_t colours = 0;
  std::erase_if(held_, [&](const Held& held) {
    const bool joins = held.why == Mischief::coalesce && same(held.signal, signal);
    if (joins) colours |= held.signal.colours;
    return joins;
  });
  return colours;
}

void Adversary::raised(const Signal& signal) {
  const std::lock_guard lock(mutex_);
  for (Held& held : held_) {
    if (held.why != Mischief::reorder || held.signal.owner != signal.owner || same(held.signal, signal)) continue;
    held.due = Clock::now();
    changed_.notify_one();
  }
}

void Adversary::run() {
  std::unique_lock lock(mutex_);
  while (!ended_ || !held_.empty()) {
    if (held_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = std::ranges::min_element(held_, {}, &Held::due);
    // A copy, because wait_until looks at the time once more after it slept, and what is held has moved by then.
    const Clock::time_point due = first->due;
    if (!ended_ && Clock::now() < due) {
      changed_.wait_until(lock, due);
      continue;
    }
    const Signal signal = first->signal;
    held_.erase(first);
    lock.unlock();
    raise_(signal);
    lock.lock();
  }
}

void Adversary::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace ismio::ism
