// What a server and its sessions have in common, and outlives both: a session's errands may still be on a desk when the
// server has gone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <sys/types.h>

namespace ismio::vfio_user {

// Shared with src/addon/wire.ts by value.
enum class Happening : uint8_t {
  client = 0,   // one was taken; who it is stands beside
  gone = 1,     // it closed, or was let go of
  refused = 2,  // a request failed that no reply tells of; `error` is its errno
  trouble = 3,  // clients cannot be taken for now; `error` is why
};

struct Event {
  Happening what;
  int32_t error = 0;
  pid_t process = 0;
  uid_t user = 0;
  gid_t group = 0;
};

struct Counts {
  std::atomic<uint64_t> clients{0};
  std::atomic<uint64_t> turnedAway{0};  // they came while there was another
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> bytesRead{0};     // of regions
  std::atomic<uint64_t> bytesWritten{0};  // to regions
  std::atomic<uint64_t> refused{0};       // as Happening::refused
  std::atomic<uint64_t> late{0};          // answered with ETIMEDOUT
  std::atomic<uint64_t> unexpected{0};    // replies that nobody waited for
};

// Each by its name, in the order in which JavaScript is told them: `serverCounts` of src/addon/wire.ts.
struct Counted {
  const char* name;
  std::atomic<uint64_t> Counts::*count;
};
inline constexpr Counted kCounted[] = {
    {"clients", &Counts::clients},     {"turnedAway", &Counts::turnedAway},     {"requests", &Counts::requests},
    {"bytesRead", &Counts::bytesRead}, {"bytesWritten", &Counts::bytesWritten}, {"refused", &Counts::refused},
    {"late", &Counts::late},           {"unexpected", &Counts::unexpected},
};

class Common {
 public:
  using Told = std::function<void(const Event&)>;

  // `ready` says whether there was a descriptor to be had.
  explicit Common(Told told);
  ~Common();
  Common(const Common&) = delete;
  Common& operator=(const Common&) = delete;
  bool ready() const { return wake_ >= 0; }

  // The server's thread is to look what there is to do. From any thread.
  void wake() const;
  int wakeDescriptor() const { return wake_; }
  void woken() const;

  // From any thread.
  void tell(const Event& event);
  void refuse(int32_t error);
  // Nobody is told any more when it returns.
  void end();

  // JavaScript has not heard yet that the last client has gone: until then there is no other.
  std::atomic<bool> departing{false};
  Counts counts;

 private:
  const int wake_;
  std::mutex mutex_;
  Told told_;
};

}  // namespace ismio::vfio_user
