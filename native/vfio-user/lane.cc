// The lane of a session: what JavaScript answers, handed to it in order.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "vfio-user/awaiting.h"
#include "vfio-user/session.h"

namespace ismio::vfio_user {
namespace {

// When so little is held, more is read again.
constexpr size_t kReadAgain = 32 << 20;
// How long errands are done one behind the other before the event loop has a turn.
constexpr std::chrono::milliseconds kTogether{2};

}  // namespace

void Session::hand(Message& message, std::vector<Access> accesses, Clock::time_point due) {
  const auto errand = std::make_shared<Errand>(function_, std::move(message), std::move(accesses), due);
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = lane_.empty();
    lane_.push_back(errand);
    laneBytes_ += errand->weight;
    if (errand->wanted) unanswered_.push_back(errand);
  }
  if (!first) return askRelief();
  if (function_->desk->put([self = shared_from_this()] { self->serveLane(); })) return;
  if (!errand->told.exchange(true)) answer(errand->header, ENODEV, {});
  forget(errand);
}

// What a client left that has gone is done in one go: the next one comes behind it.
void Session::serveLane() {
  const Clock::time_point until = Clock::now() + kTogether;
  while (true) {
    std::shared_ptr<Errand> errand;
    {
      const std::lock_guard lock(mutex_);
      if (lane_.empty()) return;
      if (!ended_ && Clock::now() >= until) break;
      errand = lane_.front();
      begun_ = true;
    }
    const auto resume = [self = shared_from_this(), errand] {
      {
        const std::lock_guard lock(self->mutex_);
        self->suspended_ = false;
        if (self->ended_) self->lane_.clear();
      }
      self->settle(errand);
      self->serveLane();
    };
    const bool awaited = errand->wanted && Awaiting::awaits(client_, errand->header.id);
    waits_ = Awaiting::depth();
    if (!errand->run(awaited ? nullptr : std::function<void()>(resume))) {
      {
        const std::lock_guard lock(mutex_);
        suspended_ = true;
      }
      waits_ = 0;  // whatever the thread waits for, it is behind the promise
      return relieve();
    }
    settle(errand);
  }
  function_->desk->putBehind([self = shared_from_this()] { self->serveLane(); });
}

// Something waits behind an errand that has begun. Whether the JavaScript thread waits for it is known there. (It waits
// before it sends: whoever is asked for now is seen.)
void Session::askRelief() {
  if (!Awaiting::anybody()) return;
  {
    const std::lock_guard lock(mutex_);
    if (!begun_ || std::exchange(relieving_, true)) return;
  }
  function_->desk->put([self = shared_from_this()] { self->relieve(); });
}

// The first of the lane is not done while the thread waits: what it waits for is asked by its own handler, or it has a
// promise, which is not settled meanwhile. So what the thread waits for is refused; and what needs no JavaScript is
// done, which it may wait for as well.
void Session::relieve() {
  const bool waits = Awaiting::awaitsAny(client_, waits_);
  std::vector<std::shared_ptr<Errand>> refused;
  {
    const std::lock_guard lock(mutex_);
    relieving_ = false;
    if (!waits || !begun_ || lane_.empty()) return;
    passing_ = true;
    for (auto one = lane_.begin() + 1; one != lane_.end(); ++one) {
      const bool awaited = (*one)->wanted && Awaiting::awaits(client_, (*one)->header.id, waits_);
      if (awaited && !(*one)->told.exchange(true)) refused.push_back(*one);
    }
  }
  for (const std::shared_ptr<Errand>& errand : refused) answer(errand->header, EDEADLK, {});
  common_->wake();
}

// The reply goes from here: no other thread has to be woken for it. It goes before the errand leaves the lane, so that
// no reply to a later request comes before it.
void Session::settle(const std::shared_ptr<Errand>& errand) {
  count(*errand);
  if (!errand->told.exchange(true)) {
    Reply reply;
    errand->reply(reply);
    answer(errand->header, errand->error(), reply);
    int32_t heard = 0;
    if (const auto refusal = errand->refusal()) function_->desk->answer(refusal, heard, nullptr);
  }
  forget(errand);
}

void Session::forget(const std::shared_ptr<Errand>& errand) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (lane_.empty() || lane_.front() != errand) return;
    lane_.pop_front();
    begun_ = passing_ = false;
    laneBytes_ -= errand->weight;
    if (wanted_ && (lane_.empty() || laneBytes_ < kReadAgain)) wake = std::exchange(wanted_, false);
  }
  if (wake) common_->wake();
}

// What JavaScript has not answered in time is answered for it, and its own answer dropped. What waited behind it and
// needs no JavaScript is done now.
void Session::expire() {
  const Clock::time_point now = Clock::now();
  std::vector<std::shared_ptr<Errand>> late;
  {
    const std::lock_guard lock(mutex_);
    while (!unanswered_.empty() && (unanswered_.front()->told || unanswered_.front()->due <= now)) {
      if (!unanswered_.front()->told.exchange(true)) late.push_back(std::move(unanswered_.front()));
      unanswered_.pop_front();
    }
  }
  for (const std::shared_ptr<Errand>& errand : late) {
    common_->counts.late++;
    answer(errand->header, ETIMEDOUT, {});
  }
  while (!waiting_.empty() && waiting_.front().due <= now) {
    waitingBytes_ -= waiting_.front().weight();
    perform(waiting_.front(), false);
    waiting_.pop_front();
  }
}

// What was posted and waits takes effect, as a store that has left a driver does. But nothing waits for a promise: the
// next client could come before the device was told that this one has gone.
void Session::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    const bool keeps = !suspended_;
    for (const std::shared_ptr<Errand>& errand : lane_) {
      if (errand->wanted || !keeps) errand->told = true;
    }
    unanswered_.clear();
  }
  for (Pending& pending : waiting_) {
    const bool posted = (pending.message.header.flags & kNoReply) != 0;
    if (posted) perform(pending, true);
  }
  waiting_.clear();
  outbox_->end();
  closeSocket();
  function_->interrupts.clear();
  if (far_ != nullptr) far_->end();
  function_->dma.clear();
  if (far_ == nullptr) {
    function_->taken = false;  // JavaScript has never heard of it
    return;
  }
  common_->departing = true;
  const auto told = [common = common_] {
    common->departing = false;
    common->wake();
  };
  if (!tellJavaScript(device::Handled::gone, told)) told();
}

}  // namespace ismio::vfio_user
