// A thread that waits for the signals of one environment, for runtimes whose event loop is not libuv's: Bun ends the
// process when it is asked for a poll handle, and Deno where an async cleanup hook ends as it should.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "binding/way_back.h"

namespace ismio::binding {

class Watcher {
 public:
  // Null, and errno in `errorNumber`, when the system has no descriptors or threads left.
  static std::unique_ptr<Watcher> start(WayBack& back, int& errorNumber);
  // Joins the thread.
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Tells the signal of this number whenever its eventfd is signalled. 0 or an errno.
  int watch(uint64_t number, int eventfd);
  // No more is read from the eventfd when it returns.
  void forget(uint64_t number);
  // What was signalled and not told yet. At most one message for it is on its way.
  uint64_t take(uint64_t number);

 private:
  struct Watched {
    int eventfd;
    uint64_t count = 0;
  };

  explicit Watcher(WayBack& back) : back_(back) {}
  int begin();
  void serve();
  void signalled(uint64_t number);

  static constexpr uint64_t kEnd = 0;  // in place of a number: the thread is to end

  WayBack& back_;
  int epoll_ = -1;
  int ending_ = -1;
  bool started_ = false;
  pthread_t thread_{};
  std::mutex mutex_;
  std::unordered_map<uint64_t, Watched> watched_;
};

}  // namespace ismio::binding
