// The queue and its drain thread: batches in order, each settled once, stopped between two accesses, closed at any
// time.
#include "exec/queue.h"

#include <doctest.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "backend/emulated/emulated.h"
#include "support/batch.h"

namespace ismio {
namespace {

constexpr uint64_t kDepth = 256;
constexpr uint64_t kSize = 1 << 20;

// A queue over an emulated region, used as JavaScript uses it: by one thread, which claims, fills and publishes.
class Client {
 public:
  explicit Client(const Cost& cost = {}, Merge merge = Merge::none, uint64_t seed = 0)
      : region_(test::regionOver(std::make_unique<Emulated>(kSize, Rules{}, cost, std::vector<Fault>{}, seed), kSize,
                                 Rules{})),
        queue_(Queue::create(region_, {static_cast<uint32_t>(kDepth), 1 << 16, merge, false})),
        header_(reinterpret_cast<wire::Header*>(queue_->ringMemory()->base())),
        entries_(reinterpret_cast<wire::Entry*>(queue_->ringMemory()->base() + sizeof(wire::Header))) {}

  // Fills one entry; waits until the thread has no more use for the one that was there before.
  void store(uint64_t offset, uint64_t value) {
    while (tail_ - completed() == kDepth) std::this_thread::yield();
    wire::Entry& entry = entries_[tail_ & (kDepth - 1)];
    entry = wire::Entry{};
    entry.offset = static_cast<double>(offset);
    entry.opcode = static_cast<uint32_t>(wire::Opcode::store) | 8 << 8;
    entry.value = {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
    tail_++;
  }

  void noteCopies(uint32_t pieces) { header_->copied += pieces; }

  void drain(uint32_t ticket, bool stopped = false) {
    const auto settled = [this](uint32_t ended, const Report& report) {
      const std::lock_guard<std::mutex> lock(mutex_);
      settled_.push_back({ended, report});
      thread_ = std::this_thread::get_id();
      change_.notify_all();
    };
    queue_->drain(std::exchange(published_, tail_), tail_, ticket, stopped, settled);
  }

  Report submit() { return queue_->submit(std::exchange(published_, tail_), tail_); }

  // The settlements, once there are so many.
  std::vector<std::pair<uint32_t, Report>> settled(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    change_.wait(lock, [&] { return settled_.size() >= count; });
    return settled_;
  }

  uint64_t word(uint64_t offset) const {
    const Attachment attachment(region_);
    uint8_t bytes[8] = {};
    Failure failure;
    REQUIRE(Issuer(attachment).load(offset, bytes, 8, failure) == Status::ok);
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
  }

  uint32_t completed() const { return header_->completed.load(std::memory_order_acquire); }
  Queue& queue() { return *queue_; }
  Region& region() { return *region_; }
  void close() { queue_.reset(); }
  std::thread::id drainThread() const { return thread_; }
  size_t settledSoFar() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return settled_.size();
  }

 private:
  const std::shared_ptr<Region> region_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<std::pair<uint32_t, Report>> settled_;
  std::thread::id thread_;
  std::unique_ptr<Queue> queue_;  // goes before what its thread calls back into
  wire::Header* const header_;
  wire::Entry* const entries_;
  uint32_t tail_ = 0;
  uint32_t published_ = 0;
};

constexpr Cost kSlow{0, 50'000, 50'000, 0};

void waitUntil(const Client& client, uint32_t completed) {
  while (client.completed() < completed) std::this_thread::yield();
}

TEST_CASE("submit runs on the calling thread and starts no other") {
  Client client;
  client.store(0, 42);
  CHECK(client.submit().operations == 1);
  CHECK(client.word(0) == 42);
  CHECK(client.settledSoFar() == 0);
}

TEST_CASE("a drain runs on the queue's own thread") {
  Client client;
  client.store(8, 43);
  client.drain(1);
  const auto settled = client.settled(1);
  CHECK(settled[0].first == 1);
  CHECK(settled[0].second.failure.status == Status::ok);
  CHECK(client.word(8) == 43);
  CHECK(client.drainThread() != std::this_thread::get_id());
}

TEST_CASE("a batch is one crossing, and has the copies that its caller noted; the next begins at none") {
  Client client;
  client.store(0, 1);
  client.noteCopies(3);
  const Report first = client.submit();
  CHECK(first.moved.crossings == 1);
  CHECK(first.moved.copies == 3);
  client.store(8, 1);
  client.noteCopies(2);
  client.drain(0);
  client.store(16, 1);
  client.noteCopies(1);
  client.drain(1);
  const auto settled = client.settled(2);
  CHECK(settled[0].second.moved.copies == 2);
  CHECK(settled[1].second.moved.copies == 1);
  const Totals sum = client.region().counters().sum();
  CHECK(sum.crossings == 3);
  CHECK(sum.copies == 6);
}

TEST_CASE("batches settle once each, in the order in which they came") {
  Client client;
  constexpr uint32_t kBatches = 500;
  for (uint32_t ticket = 0; ticket < kBatches; ticket++) {
    client.store(ticket * uint64_t{8}, ticket + 1);
    client.drain(ticket);
  }
  const auto settled = client.settled(kBatches);
  REQUIRE(settled.size() == kBatches);
  for (uint32_t ticket = 0; ticket < kBatches; ticket++) {
    REQUIRE(settled[ticket].first == ticket);
    REQUIRE(client.word(ticket * uint64_t{8}) == ticket + 1);
  }
}

TEST_CASE("entries are filled again as soon as the thread has reaped them, 20 times round the ring") {
  for (const Merge merge : {Merge::none, Merge::adjacent, Merge::any}) {
    Client client({}, merge);
    constexpr uint64_t kOperations = 20 * kDepth;
    uint32_t batches = 0;
    for (uint64_t i = 0; i < kOperations; i++) {
      client.store((i * 8) % kSize, i);
      if (i % 100 == 99 || i + 1 == kOperations) client.drain(batches++);
    }
    for (const auto& [ticket, report] : client.settled(batches)) REQUIRE(report.failure.status == Status::ok);
    for (uint64_t i = 0; i < kOperations; i++) REQUIRE(client.word((i * 8) % kSize) == i);
  }
}

TEST_CASE("a stop ends a batch between two accesses; what it told done is in the region, the rest is not") {
  Client client(kSlow);
  for (uint64_t i = 0; i < kDepth; i++) client.store(i * 8, i + 1);
  client.drain(7);
  waitUntil(client, 1);
  client.queue().stop(7);
  const Report report = client.settled(1)[0].second;
  CHECK(report.failure.status == Status::aborted);
  REQUIRE(report.unfinished > 0);
  REQUIRE(report.unfinished < kDepth);
  CHECK(report.moved.stores == report.unfinished);
  for (uint64_t i = 0; i < kDepth; i++) REQUIRE(client.word(i * 8) == (i < report.unfinished ? i + 1 : 0));
}

TEST_CASE("a stop of one batch leaves the others alone, also while it waits for its turn") {
  Client client(kSlow);
  for (uint32_t ticket = 0; ticket < 3; ticket++) {
    for (uint64_t i = 0; i < 20; i++) client.store(ticket * uint64_t{8000} + i * 8, 1);
    client.drain(ticket);
  }
  client.queue().stop(1);
  const auto settled = client.settled(3);
  CHECK(settled[0].second.failure.status == Status::ok);
  CHECK(settled[1].second.failure.status == Status::aborted);
  CHECK(settled[1].second.unfinished == 0);
  CHECK(settled[2].second.failure.status == Status::ok);
}

TEST_CASE("a batch that comes stopped takes its turn and issues nothing") {
  Client client;
  client.store(0, 1);
  client.drain(0, true);
  const Report report = client.settled(1)[0].second;
  CHECK(report.failure.status == Status::aborted);
  CHECK(report.moved.stores == 0);
  CHECK(client.word(0) == 0);
}

TEST_CASE("a stop for a ticket that is not there is nothing") {
  Client client;
  client.store(0, 1);
  client.drain(0);
  client.queue().stop(99);
  CHECK(client.settled(1)[0].second.failure.status == Status::ok);
}

TEST_CASE("closing a queue with work in flight settles every batch before it returns, soon") {
  Client client(kSlow);
  constexpr uint32_t kBatches = 8;
  for (uint32_t ticket = 0; ticket < kBatches; ticket++) {
    for (uint64_t i = 0; i < kDepth / kBatches; i++) client.store(i * 8, 1);
    client.drain(ticket);
  }
  client.close();
  const auto settled = client.settled(kBatches);
  REQUIRE(settled.size() == kBatches);
  CHECK(settled[kBatches - 1].second.failure.status == Status::aborted);
}

TEST_CASE("queues are made, drained and closed many times over") {
  for (int i = 0; i < 200; i++) {
    Client client;
    for (uint64_t n = 0; n < 10; n++) client.store(n * 8, n);
    client.drain(0);
    if (i % 2 == 0) client.settled(1);
  }
}

TEST_CASE("closing the region ends the drain of another thread at its next access") {
  Client client(kSlow);
  for (uint64_t i = 0; i < kDepth; i++) client.store(i * 8, 1);
  client.drain(0);
  waitUntil(client, 1);
  client.region().close();
  const Report report = client.settled(1)[0].second;
  CHECK(report.failure.status == Status::closed);
  CHECK(report.unfinished < kDepth);
}

TEST_CASE("threads with queues of their own use one region at once; its counters miss nothing") {
  const auto region =
      test::regionOver(std::make_unique<Emulated>(kSize, Rules{}, Cost{}, std::vector<Fault>{}, 0), kSize, Rules{});
  constexpr uint64_t kThreads = 4, kStores = 2'000;
  const auto worker = [&](uint32_t number) {
    const Attachment attachment(Region::find(region->id()));
    Issuer issuer(attachment);
    Failure failure;
    for (uint64_t i = 0; i < kStores; i++) {
      const uint64_t value = number;
      issuer.store(number * uint64_t{4096} + i % 512 * 8, reinterpret_cast<const uint8_t*>(&value), 8, failure);
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kThreads; i++) threads.emplace_back(worker, i);
  for (int i = 0; i < 100; i++) REQUIRE(region->counters().sum().stores <= kThreads * kStores);
  for (std::thread& thread : threads) thread.join();
  CHECK(region->counters().sum().stores == kThreads * kStores);
}

TEST_CASE("a region and a memory are found by their number as long as somebody holds them") {
  auto memory = Memory::allocate(4096);
  const uint64_t id = memory->id();
  CHECK(Memory::find(id) == memory);
  memory.reset();
  CHECK(Memory::find(id) == nullptr);
  CHECK(Memory::allocate(4096)->id() > id);
}

TEST_CASE("a queue holds a source for each operation that it can have, and gives each back by itself") {
  Client client;
  Sources& sources = client.queue().sources();
  const auto memory = Memory::allocate(4096);
  std::vector<uint32_t> slots;
  for (uint32_t slot = sources.hold(memory); slot != wire::kStaging; slot = sources.hold(memory)) slots.push_back(slot);
  CHECK(slots.size() >= kDepth);
  CHECK(memory.use_count() == static_cast<long>(slots.size()) + 1);
  for (const uint32_t slot : slots) CHECK(sources.at(slot) == memory.get());

  const auto other = Memory::allocate(4096);
  for (const uint32_t slot : {slots.front(), slots.back()}) {
    sources.release(slot);
    CHECK(sources.at(slot) == nullptr);
    sources.release(slot);  // again: it is nobody's
    CHECK(sources.hold(other) == slot);
    CHECK(sources.hold(other) == wire::kStaging);
  }
  for (const uint32_t slot : slots) sources.release(slot);
  sources.release(wire::kStaging);
  sources.release(UINT32_MAX);
  CHECK(memory.use_count() == 1);
  CHECK(other.use_count() == 1);
  CHECK(sources.staging() != nullptr);
}

}  // namespace
}  // namespace ismio
