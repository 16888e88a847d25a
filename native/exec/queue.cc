#include "exec/queue.h"

#include <new>
#include <utility>

namespace ismio {
namespace {

Ring ringIn(const Memory& memory, uint32_t depth) {
  auto* header = new (memory.base()) wire::Header{};
  auto* entries = reinterpret_cast<wire::Entry*>(memory.base() + sizeof(wire::Header));
  return {header, entries, depth};
}

}  // namespace

std::unique_ptr<Queue> Queue::create(const std::shared_ptr<Region>& region, const QueueTraits& traits) {
  std::shared_ptr<Memory> ring = Memory::allocate(sizeof(wire::Header) + sizeof(wire::Entry) * traits.depth);
  std::shared_ptr<Memory> staging = Memory::allocate(traits.stagingBytes);
  if (ring == nullptr || staging == nullptr) return nullptr;
  std::unique_ptr<Queue> queue(new Queue(region, traits, std::move(ring), std::move(staging)));
  return queue->executor_.ready() ? std::move(queue) : nullptr;
}

Queue::Queue(const std::shared_ptr<Region>& region, const QueueTraits& traits, std::shared_ptr<Memory> ring,
             std::shared_ptr<Memory> staging)
    : ringMemory_(std::move(ring)),
      sources_(std::move(staging), traits.depth),
      executor_(region, ringIn(*ringMemory_, traits.depth), sources_, traits.merge, traits.relaxed),
      caller_(region) {
  header().timed = region->timed();
}

Queue::~Queue() {
  stopAll();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  work_.notify_one();
  if (thread_.has_value()) pthread_join(*thread_, nullptr);
}

// The words but for `completed` are the caller's thread's, as these calls are: nobody else looks at them.
// How many pieces of the batch's payload are copies.
uint32_t Queue::handOver() {
  header().timed = caller_.region().timed();
  const uint64_t began = std::exchange(enqueueBegan_, 0);
  if (began != 0) caller_.counters().stages.add(Stage::enqueue, ticksBetween(began, ticks()));
  return std::exchange(header().copied, 0);
}

void Queue::enqueueBegins() { enqueueBegan_ = ticks(); }

void Queue::completed(uint64_t lastTick) {
  if (lastTick != 0) caller_.counters().stages.add(Stage::completion, ticksBetween(lastTick, ticks()));
}

Report Queue::execute(uint32_t from, uint32_t to, const Stop& stop, uint32_t copied, bool observed) {
  if (!observed) [[likely]]
    return executor_.run(from, to, stop, copied);
  const double began = nanosecondsNow();
  Report report = executor_.run(from, to, stop, copied);
  report.began = began;
  report.ended = nanosecondsNow();
  return report;
}

Report Queue::submit(uint32_t from, uint32_t to, Lookout* lookout) {
  const uint32_t copied = handOver();
  return execute(from, to, lookout == nullptr ? Stop(never_) : Stop(*lookout), copied, header().observed != 0);
}

void Queue::drain(uint32_t from, uint32_t to, uint32_t ticket, bool stopped, const Settled& settled) {
  auto batch = std::make_shared<Batch>();
  batch->from = from;
  batch->to = to;
  batch->ticket = ticket;
  batch->copied = handOver();
  batch->observed = header().observed != 0;
  batch->settled = settled;
  batch->stop.store(stopped ? 1 : 0, std::memory_order_relaxed);
  if (const int refused = start(); refused != 0) {
    Failure failure;
    failure.status = Status::systemError;
    failure.errorNumber = refused;
    settled(ticket, executor_.skip(from, to, failure, batch->copied));
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    batches_.push_back(std::move(batch));
  }
  work_.notify_one();
}

// The thread comes with the first batch. (pthread_create says why it failed; std::thread would throw.) Its errno, or 0.
int Queue::start() {
  if (thread_.has_value()) return 0;
  pthread_t thread;
  const auto entry = [](void* self) -> void* {
    static_cast<Queue*>(self)->serve();
    return nullptr;
  };
  const int refused = pthread_create(&thread, nullptr, entry, this);
  if (refused == 0) thread_ = thread;
  return refused;
}

void Queue::stop(uint32_t ticket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& batch : batches_) {
    if (batch->ticket == ticket) batch->stop.store(1, std::memory_order_relaxed);
  }
}

void Queue::stopAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& batch : batches_) batch->stop.store(1, std::memory_order_relaxed);
}

bool Queue::idle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return batches_.empty();
}

void Queue::serve() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return ending_ || !batches_.empty(); });
    if (batches_.empty()) return;
    const std::shared_ptr<Batch> batch = batches_.front();
    lock.unlock();
    const Report report = execute(batch->from, batch->to, Stop(batch->stop), batch->copied, batch->observed);
    lock.lock();
    batches_.pop_front();
    lock.unlock();
    batch->settled(batch->ticket, report);
    lock.lock();
  }
}

}  // namespace ismio
