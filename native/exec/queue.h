// A submission queue: a ring, the executor that reaps it, and a thread for those who do not want to wait.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>

#include "exec/executor.h"

namespace ismio {

struct QueueTraits {
  uint32_t depth;         // entries, a power of two
  uint64_t stagingBytes;  // memory for sources that have to be copied
  Merge merge;
  bool relaxed;
};

class Queue {
 public:
  // Called once for each batch, on the drain thread if there is one.
  using Settled = std::function<void(uint32_t ticket, const Report& report)>;

  // Null when there is no memory for it.
  static std::unique_ptr<Queue> create(const std::shared_ptr<Region>& region, const QueueTraits& traits);
  // Stops what is in flight and waits for the thread; at most one access goes on meanwhile.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  const std::shared_ptr<Memory>& ringMemory() const { return ringMemory_; }
  const std::shared_ptr<Memory>& staging() const { return sources_.staging(); }

  // What the operations of the caller's thread use.
  Sources& sources() { return sources_; }

  // Runs [from, to) here and now. The caller sees to it that nothing is in flight. `lookout`: null where the thread of
  // the caller does not end before the batch does.
  Report submit(uint32_t from, uint32_t to, Lookout* lookout = nullptr);
  // Hands [from, to) to the drain thread. Batches run in the order in which they came. One that comes `stopped` takes
  // its turn and issues nothing. Where the system gives no thread, the batch is settled at once, with its errno.
  void drain(uint32_t from, uint32_t to, uint32_t ticket, bool stopped, const Settled& settled);
  // Where stages are timed, the caller says when its first operation for the next batch is queued, and when it has what
  // the last report was about.
  void enqueueBegins();
  void completed(uint64_t lastTick);
  // For a caller that reads the entries before it hands them over: each operation of [from, to) has one of its own.
  void unfold(uint32_t from, uint32_t to) const { executor_.unfold(from, to); }

  // Ends this batch between two accesses, or before its first.
  void stop(uint32_t ticket);
  void stopAll();
  // Whether no batch waits or runs.
  bool idle();

 private:
  struct Batch {
    uint32_t from;
    uint32_t to;
    uint32_t ticket;
    uint32_t copied;
    bool observed;
    Settled settled;
    std::atomic<uint32_t> stop{0};
  };

  Queue(const std::shared_ptr<Region>& region, const QueueTraits& traits, std::shared_ptr<Memory> ring,
        std::shared_ptr<Memory> staging);
  int start();
  uint32_t handOver();
  Report execute(uint32_t from, uint32_t to, const Stop& stop, uint32_t copied, bool observed);
  wire::Header& header() const { return *reinterpret_cast<wire::Header*>(ringMemory_->base()); }
  void serve();

  const std::shared_ptr<Memory> ringMemory_;
  Sources sources_;
  Executor executor_;
  const Attachment caller_;  // for what the thread that queues counts while the drain thread counts for itself
  uint64_t enqueueBegan_ = 0;
  const std::atomic<uint32_t> never_{0};

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Batch>> batches_;  // the front one is being run
  bool ending_ = false;
  std::optional<pthread_t> thread_;
};

}  // namespace ismio
