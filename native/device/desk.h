// Where accesses are handed to the JavaScript thread that answers them.
//
// On that thread itself an access is answered at once, within the call. Any other thread puts work on the desk and goes
// on, or waits; the JavaScript thread serves the desk from its event loop, and also while it waits in native code for
// something that the desk may have to bring about.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace ismio::device {

class Function;

// Shared with src/addon/wire.ts by value.
enum class Handled : uint8_t { load = 0, store = 1, storeBlock = 2, reset = 3, arrived = 4, gone = 5, refused = 6 };

// The region by which configuration space is accessed; BARs are 0 to 5. VFIO_PCI_CONFIG_REGION_INDEX.
inline constexpr uint32_t kConfigRegion = 7;

// What JavaScript is asked. Loads of up to 8 bytes are answered into `word`, in the order of their addresses; those of
// configuration space, and store blocks, have their bytes in `block`.
struct Request {
  std::shared_ptr<Function> function;
  Handled kind = Handled::load;
  uint32_t region = 0;
  uint64_t offset = 0;
  uint32_t length = 0;
  uint8_t word[8] = {};  // of what was refused: its errno, and how many bytes it was to write
  std::vector<uint8_t> block;
};

// How JavaScript answers; binding/ has the one there is.
class Answerer {
 public:
  using Later = std::function<void(int32_t error)>;
  Answerer() = default;
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;
  virtual ~Answerer() = default;
  // On the JavaScript thread. True: answered, `error` is 0 or an errno. False: a promise; `later` is called once, on
  // this thread, when it is settled, and keeps the request alive until then. EDEADLK where `later` is empty.
  virtual bool answer(const std::shared_ptr<Request>& request, int32_t& error, Later later) = 0;
  // From any thread: the event loop is to serve the desk.
  virtual void wake() = 0;
  // On the JavaScript thread: the same, when everything else of the event loop has had its turn.
  virtual void wakeLater() = 0;
};

class Desk {
 public:
  using Work = std::function<void()>;

  // Made on the JavaScript thread. `answerer` lives until `end`.
  explicit Desk(Answerer& answerer) : answerer_(&answerer), thread_(std::this_thread::get_id()) {}
  ~Desk();
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  bool here() const { return std::this_thread::get_id() == thread_; }
  // From any thread: `work` runs on the JavaScript thread, behind what was put before. False when that has ended.
  bool put(Work work);
  // On the JavaScript thread: `work` runs when everything else of its event loop has had a turn.
  void putBehind(Work work);
  // On the JavaScript thread: what is on the desk by now.
  void serve();
  // On the JavaScript thread: serves until `done` says so, of which whoever makes it so tells by `poke`, or `socket`
  // has one of `events`. False when `until` has come.
  bool serveUntil(const std::function<bool()>& done, std::chrono::steady_clock::time_point until, int socket = -1,
                  short events = 0);
  void poke();
  // On the JavaScript thread: it has a device, of which anybody may ask something from now on.
  void expect() { used_.store(true, std::memory_order_relaxed); }
  // Whether anybody has put anything there, or may. On the JavaScript thread that does not change before JavaScript
  // runs.
  bool used() const { return used_.load(std::memory_order_relaxed); }
  bool answer(const std::shared_ptr<Request>& request, int32_t& error, Answerer::Later later);
  // From any thread: 0, or the errno that it was answered with; ETIMEDOUT after `within`, ENODEV when the thread has
  // ended, EDEADLK where it could only wait for itself.
  int32_t ask(const std::shared_ptr<Request>& request, std::chrono::milliseconds within);
  // The JavaScript thread ends: what is on the desk is dropped, and whoever waits is told.
  void end();

 private:
  void ring() const;
  int listen();
  bool waiting();

  Answerer* answerer_;
  const std::thread::id thread_;
  std::mutex mutex_;
  std::deque<Work> work_;
  int bell_ = -1;           // an eventfd, made when it is first waited for
  uint32_t listening_ = 0;  // to the bell, one within the other
  std::atomic<bool> used_{false};
  bool woken_ = false;
  bool ended_ = false;
};

}  // namespace ismio::device
