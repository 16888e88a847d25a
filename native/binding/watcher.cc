#include "binding/watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "binding/signal.h"

namespace ismio::binding {
namespace {

class Signalled final : public Message {
 public:
  explicit Signalled(uint64_t number) : number_(number) {}
  void arrive(Environment& environment) override {
    const auto* signal = environment.handles.find<Signal>(number_);
    if (signal != nullptr) signal->tell(environment.watcher->take(number_));
  }

 private:
  const uint64_t number_;
};

class WatchedSignal final : public Signal {
 public:
  using Signal::Signal;

  ~WatchedSignal() override {
    if (number_ == 0) return;
    keepAlive(false);
    environment_.watcher->forget(number_);
  }

  int start(uint64_t number) override {
    int refused = 0;
    std::unique_ptr<Watcher>& watcher = environment_.watcher;
    if (watcher == nullptr) watcher = Watcher::start(environment_.back, refused);
    if (watcher != nullptr) refused = watcher->watch(number, eventfd_);
    if (refused != 0) return refused;
    number_ = number;
    keepAlive(true);
    return 0;
  }

  void keepAlive(bool on) override {
    if (on == keptAlive_) return;
    keptAlive_ = on;
    on ? environment_.back.await() : environment_.back.awaited();
  }

 private:
  uint64_t number_ = 0;
  bool keptAlive_ = false;
};

}  // namespace

std::unique_ptr<Signal> signalOnThread(Environment& environment, int eventfd, Napi::Function told) {
  return std::make_unique<WatchedSignal>(environment, eventfd, told);
}

std::unique_ptr<Watcher> Watcher::start(WayBack& back, int& errorNumber) {
  std::unique_ptr<Watcher> watcher(new Watcher(back));
  errorNumber = watcher->begin();
  return errorNumber == 0 ? std::move(watcher) : nullptr;
}

int Watcher::begin() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  ending_ = eventfd(0, EFD_CLOEXEC);
  if (ending_ < 0) return errno;
  if (const int refused = watch(kEnd, ending_); refused != 0) return refused;
  const auto entry = [](void* self) -> void* {
    static_cast<Watcher*>(self)->serve();
    return nullptr;
  };
  const int refused = pthread_create(&thread_, nullptr, entry, this);
  started_ = refused == 0;
  return refused;
}

Watcher::~Watcher() {
  if (started_) {
    eventfd_write(ending_, 1);  // cannot fail: nobody else adds to it
    pthread_join(thread_, nullptr);
  }
  if (ending_ >= 0) close(ending_);
  if (epoll_ >= 0) close(epoll_);
}

int Watcher::watch(uint64_t number, int eventfd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = number;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, eventfd, &event) != 0) return errno;
  watched_.emplace(number, Watched{eventfd});
  return 0;
}

void Watcher::forget(uint64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = watched_.find(number);
  if (found == watched_.end()) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, found->second.eventfd, nullptr);  // cannot fail: it was added
  watched_.erase(found);
}

uint64_t Watcher::take(uint64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = watched_.find(number);
  return found == watched_.end() ? 0 : std::exchange(found->second.count, 0);
}

void Watcher::serve() {
  constexpr int kAtOnce = 64;
  epoll_event events[kAtOnce];
  while (true) {
    const int ready = epoll_wait(epoll_, events, kAtOnce, -1);  // answers -1 only when a signal handler interrupted it
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u64 == kEnd) return;
      signalled(events[i].data.u64);
    }
  }
}

// A number that was forgotten since epoll_wait answered is not found: another signal never has it.
void Watcher::signalled(uint64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = watched_.find(number);
  uint64_t count = 0;
  if (found == watched_.end() || read(found->second.eventfd, &count, sizeof count) != sizeof count) return;
  const bool onItsWay = found->second.count > 0;
  found->second.count += count;
  if (!onItsWay) back_.send(std::make_unique<Signalled>(number));
}

}  // namespace ismio::binding
