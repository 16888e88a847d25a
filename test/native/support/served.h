// A function that is served over a socket, with a thread that answers for JavaScript.
#pragma once

#include <doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "device/function.h"
#include "vfio-user/server.h"

namespace ismio::test {

using device::Handled;

constexpr uint32_t kBarSize = 0x4000;
constexpr uint32_t kConfigSize = 256;
// BAR 0 is memory from here to there, and registers beside; BAR 1 is memory, BAR 2 is refused by nobody's handlers.
constexpr uint64_t kMemoryFrom = 0x1000;
constexpr uint64_t kMemoryTo = 0x3000;
// Registers of BAR 0 with a mind of their own.
constexpr uint64_t kRefuses = 0x100;   // EIO
constexpr uint64_t kPromises = 0x200;  // answered by `keep`
constexpr uint64_t kSlow = 0x300;      // takes 20 ms

// Memory that others can map: what allocBuffer(.., { shared: true }) is of.
class Pages {
 public:
  explicit Pages(size_t length) : length_(length) {
    void* view = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(view != MAP_FAILED);
    view_ = static_cast<uint8_t*>(view);
    REQUIRE(Memory::share(view_, length, memory_) == 0);
  }
  ~Pages() {
    munmap(view_, length_);
    Memory::giveBackUnseen();
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  const std::shared_ptr<Memory>& memory() const { return memory_; }

 private:
  const size_t length_;
  uint8_t* view_ = nullptr;
  std::shared_ptr<Memory> memory_;
};

// Of this process.
inline size_t openDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) count++;
  return count;
}

// What one access of JavaScript's was.
struct Asked {
  Handled kind;
  uint32_t region;
  uint64_t offset;
  uint32_t length;
  bool operator==(const Asked&) const = default;
};

// Stands in the place of JavaScript: a thread with a desk. Registers are bytes that read as they were written.
class Script final : public device::Answerer {
 public:
  Script() {
    std::unique_lock lock(mutex_);
    thread_ = std::thread([this] { run(); });
    changed_.wait(lock, [this] { return desk_ != nullptr; });
  }
  ~Script() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  const std::shared_ptr<device::Desk>& desk() const { return desk_; }
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }

  void wakeLater() override { wake(); }

  bool answer(const std::shared_ptr<device::Request>& request, int32_t& error, Later later) override {
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back({request->kind, request->region, request->offset, request->length});
      changed_.notify_all();
    }
    if (promises_ && request->region == 0 && request->offset == kPromises && later != nullptr) {
      const std::lock_guard lock(mutex_);
      promised_.emplace_back(request, std::move(later));
      changed_.notify_all();
      return false;
    }
    error = carryOut(*request);
    return true;
  }

  // Settles what was promised, on the script's thread; returns when it has done so.
  void keep() {
    std::vector<std::pair<std::shared_ptr<device::Request>, Later>> promised;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !promised_.empty(); });
    promised.swap(promised_);
    lock.unlock();
    run([&] {
      for (auto& [request, later] : promised) later(carryOut(*request));
    });
  }
  // Runs on the script's thread; returns when it has run.
  void run(const std::function<void()>& work) {
    std::atomic<bool> done{false};
    REQUIRE(desk_->put([&] {
      work();
      done = true;
      done.notify_all();
    }));
    done.wait(false);
  }
  // Whether one register gives promises; at first it does.
  void promises(bool on) { promises_ = on; }
  std::vector<Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    asked_.clear();
  }
  // Until so many requests of this kind were asked.
  void until(Handled kind, size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      size_t found = 0;
      for (const Asked& one : asked_) found += one.kind == kind ? 1 : 0;
      return found >= count;
    });
  }

 private:
  void run() {
    auto desk = std::make_shared<device::Desk>(*this);
    std::unique_lock lock(mutex_);
    desk_ = desk;
    changed_.notify_all();
    while (!ending_) {
      changed_.wait(lock, [this] { return woken_ || ending_; });
      woken_ = false;
      lock.unlock();
      desk->serve();
      lock.lock();
    }
    lock.unlock();
    desk->end();
  }

  int32_t carryOut(device::Request& request) {
    if (request.kind == Handled::gone) request.function->taken = false;
    if (request.kind == Handled::arrived || request.kind == Handled::gone || request.kind == Handled::reset) return 0;
    if (request.region == 0 && request.offset == kRefuses) return EIO;
    if (request.region == 0 && request.offset == kSlow) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const bool config = request.region == device::kConfigRegion;
    uint8_t* bytes = (config ? config_.data() : registers_.data()) + request.offset;
    const bool word = request.length <= 8 && request.kind != Handled::storeBlock;
    uint8_t* own = word ? request.word : request.block.data();
    if (request.kind == Handled::load) {
      if (!word) request.block.resize(request.length);
      memcpy(word ? request.word : request.block.data(), bytes, request.length);
    } else {
      memcpy(bytes, own, request.length);
      if (config) request.function->decodes = (config_[4] & 2) != 0;
    }
    return 0;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  std::shared_ptr<device::Desk> desk_;
  std::atomic<bool> promises_{true};
  bool woken_ = false;
  bool ending_ = false;
  std::vector<Asked> asked_;
  std::vector<std::pair<std::shared_ptr<device::Request>, Later>> promised_;
  std::array<uint8_t, kConfigSize> config_{};
  std::array<uint8_t, kBarSize> registers_{};
};

class Served {
 public:
  explicit Served(uint64_t maxDmaMaps = 1024) {
    REQUIRE(mkdtemp(folder_) != nullptr);
    std::array<device::Bar, device::kBars> bars;
    bars[0].size = kBarSize;
    bars[0].answers = true;
    bars[0].areas.push_back({kMemoryFrom, kMemoryTo - kMemoryFrom, pages_.memory(), 0});
    bars[1].size = kMemoryTo - kMemoryFrom;
    bars[1].areas.push_back({0, bars[1].size, pages_.memory(), 0});
    bars[2].size = kBarSize;
    function = std::make_shared<device::Function>(1, script.desk(), std::move(bars), kConfigSize,
                                                  std::array<uint32_t, device::kIrqs>{1, 0, 32, 1, 1}, 65535);
    function->decodes = true;
    function->masters = true;
    start(maxDmaMaps);
  }
  ~Served() {
    server.reset();
    CHECK(rmdir(folder_) == 0);  // the server took its socket away
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  void start(uint64_t maxDmaMaps) {
    vfio_user::Listener::Problem problem;
    auto listener = vfio_user::Listener::open(path(), 0600, problem);
    REQUIRE(listener != nullptr);
    const auto told = [this](const vfio_user::Event& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      changed_.notify_all();
    };
    server = vfio_user::Server::start(function, std::move(listener), maxDmaMaps, told, problem);
    REQUIRE(server != nullptr);
  }
  std::string path() const { return std::string(folder_) + "/socket"; }
  uint8_t* memory() const { return pages_.memory()->base(); }
  // Until so many events of this kind were told.
  vfio_user::Event until(vfio_user::Happening what, size_t count = 1) {
    std::unique_lock lock(mutex_);
    vfio_user::Event last{what};
    changed_.wait(lock, [&] {
      size_t found = 0;
      for (const vfio_user::Event& event : events_) {
        if (event.what != what) continue;
        last = event;
        found++;
      }
      return found >= count;
    });
    return last;
  }

 private:
  char folder_[32] = "/tmp/ismio-served-XXXXXX";
  Pages pages_{kMemoryTo - kMemoryFrom};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<vfio_user::Event> events_;

 public:
  Script script;
  std::shared_ptr<device::Function> function;
  std::unique_ptr<vfio_user::Server> server;
};

}  // namespace ismio::test
