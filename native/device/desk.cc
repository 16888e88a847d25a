#include "device/desk.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace ismio::device {
namespace {

// Of an access that waits in another thread.
struct Waiting {
  std::mutex mutex;
  std::condition_variable changed;
  bool answered = false;
  int32_t error = 0;

  void answer(int32_t with) {
    const std::lock_guard lock(mutex);
    if (answered) return;
    answered = true;
    error = with;
    changed.notify_one();
  }
};

// Tells whoever waits, also when it is dropped unserved.
class Teller {
 public:
  explicit Teller(std::shared_ptr<Waiting> waiting) : waiting_(std::move(waiting)) {}
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;
  ~Teller() { waiting_->answer(ENODEV); }
  void answer(int32_t error) const { waiting_->answer(error); }

 private:
  const std::shared_ptr<Waiting> waiting_;
};

}  // namespace

bool Desk::put(Work work) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  work_.push_back(std::move(work));
  used_.store(true, std::memory_order_relaxed);
  ring();
  if (!std::exchange(woken_, true)) answerer_->wake();
  return true;
}

void Desk::putBehind(Work work) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  work_.push_back(std::move(work));
  ring();
  answerer_->wakeLater();
}

// What comes meanwhile has rung for itself: a thread that asks again and again does not keep the event loop.
void Desk::serve() {
  std::unique_lock lock(mutex_);
  woken_ = false;
  for (size_t left = work_.size(); left > 0 && !work_.empty(); left--) {
    const Work work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

// What wakes it is the socket or the bell. Without a bell, for want of descriptors, it looks now and then. What it
// serves may wait in here again, and take away what rang for both: so it looks at the desk once more before it sleeps.
bool Desk::serveUntil(const std::function<bool()>& done, std::chrono::steady_clock::time_point until, int socket,
                      short events) {
  constexpr std::chrono::nanoseconds kLook = std::chrono::milliseconds(1);
  const int bell = listen();
  bool came = true;
  while (true) {
    serve();
    if (done()) break;
    std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
    constexpr auto none = std::chrono::nanoseconds::zero();
    const bool over = left <= none;
    left = over || waiting() ? none : bell < 0 ? std::min(left, kLook) : left;
    pollfd waited[] = {{socket, events, 0}, {bell, POLLIN, 0}};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
    ppoll(waited, 2, &time, nullptr);  // cut short by a signal handler: it looks, and waits again
    if (uint64_t rung = 0; waited[1].revents != 0) eventfd_read(bell, &rung);
    if (waited[0].revents != 0) break;
    came = !over;
    if (over) break;
  }
  const std::lock_guard lock(mutex_);
  listening_--;
  return came;
}

int Desk::listen() {
  const std::lock_guard lock(mutex_);
  if (bell_ < 0) bell_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  listening_++;
  return bell_;
}

bool Desk::waiting() {
  const std::lock_guard lock(mutex_);
  return !work_.empty();
}

void Desk::ring() const {
  if (listening_ > 0 && bell_ >= 0) eventfd_write(bell_, 1);
}

Desk::~Desk() {
  if (bell_ >= 0) close(bell_);
}

void Desk::poke() {
  const std::lock_guard lock(mutex_);
  ring();
}

bool Desk::answer(const std::shared_ptr<Request>& request, int32_t& error, Answerer::Later later) {
  if (answerer_ != nullptr) return answerer_->answer(request, error, std::move(later));
  error = ENODEV;
  return true;
}

int32_t Desk::ask(const std::shared_ptr<Request>& request, std::chrono::milliseconds within) {
  if (here()) {
    int32_t error = 0;
    answer(request, error, nullptr);
    return error;
  }
  const auto waiting = std::make_shared<Waiting>();
  // The work alone holds the teller: dropped, it tells.
  const bool taken = put([this, request, teller = std::make_shared<Teller>(waiting)] {
    int32_t error = 0;
    if (answer(request, error, [teller](int32_t with) { teller->answer(with); })) teller->answer(error);
  });
  if (!taken) return ENODEV;
  std::unique_lock lock(waiting->mutex);
  const bool told = waiting->changed.wait_for(lock, within, [&] { return waiting->answered; });
  return told ? waiting->error : ETIMEDOUT;
}

void Desk::end() {
  std::deque<Work> dropped;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  answerer_ = nullptr;
  dropped.swap(work_);
  ring();
}

}  // namespace ismio::device
