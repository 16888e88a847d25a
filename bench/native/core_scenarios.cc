#include "core_scenarios.h"

#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "backend/emulated/emulated.h"
#include "backend/mapped/mapped.h"
#include "exec/issuer.h"
#include "exec/queue.h"

namespace ismio::bench {
namespace {

constexpr uint64_t kWindow = 1 << 20;
constexpr uint64_t kBlock = 4096;
constexpr uint64_t kWords = 4096;
constexpr uint32_t kDepth = 4096;
constexpr Rules kIsm{};
constexpr Rules kStrict{128, 4096, Alignment::strict, true};

enum class Over { memory, device, emulated };

std::unique_ptr<Backend> backendOver(Over over, const Rules& rules) {
  if (over == Over::emulated) return std::make_unique<Emulated>(kWindow, rules, Cost{}, std::vector<Fault>{}, 0);
  const int file = memfd_create("window", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, kWindow) != 0) return nullptr;
  File::Problem problem;
  auto mapping = Mapping::open({"/proc/self/fd/" + std::to_string(file), 0, 0, true}, problem);
  close(file);
  if (mapping == nullptr) return nullptr;
  return std::make_unique<Mapped>(std::move(mapping), rules,
                                  over == Over::memory ? kernels().memory : kernels().mapped);
}

std::shared_ptr<Region> regionOver(Over over, const Rules& rules) {
  std::unique_ptr<Backend> backend = backendOver(over, rules);
  if (backend == nullptr) return nullptr;
  const Kind kind = over == Over::memory ? Kind::memory : Kind::device;
  return Region::create({kWindow, rules, kind, true, "window", "bench"}, std::move(backend));
}

// Accesses that are called on the region, one after the other.
template <Over over, const Rules& rules, bool (*round)(Issuer&, uint8_t*)>
class Direct final : public Work {
 public:
  static std::unique_ptr<Work> open() { return std::make_unique<Direct>(); }
  bool run() override { return round(issuer_, bytes_->base()); }

 private:
  const Attachment attachment_{regionOver(over, rules)};
  Issuer issuer_{attachment_};
  const std::shared_ptr<Memory> bytes_ = Memory::allocate(kWindow);
};

template <auto access, uint64_t step, uint64_t count>
bool accesses(Issuer& issuer, uint8_t* bytes) {
  Failure failure;
  for (uint64_t i = 0; i < count; i++) {
    if ((issuer.*access)(i * step, bytes, step, failure) != Status::ok) return false;
  }
  return true;
}

template <auto transfer>
bool misaligned(Issuer& issuer, uint8_t* bytes) {
  Failure failure;
  for (uint64_t i = 0; i < 16; i++) {
    if ((issuer.*transfer)(i * 2 * kBlock + 3, bytes, 2 * kBlock - 6, failure) != Status::ok) return false;
  }
  return true;
}

// What the planner cuts a long range into, and nothing else.
template <const Rules& rules, uint64_t pieces>
class Plan final : public Work {
 public:
  static std::unique_ptr<Work> open() { return std::make_unique<Plan>(); }
  bool run() override {
    uint64_t offset = 1003;
    for (uint64_t i = 0; i < pieces; i++) {
      const Piece piece = next(rules, offset, kUnlimited);
      offset += piece.length;
      longest_ = longest_ < piece.length ? piece.length : longest_;
    }
    return longest_ == rules.maxStoreBlock;
  }

 private:
  uint32_t longest_ = 0;
};

// A queue's batch, filled as JavaScript fills it. Entries are filled anew for each round, as some are changed by being
// executed.
class Batch {
 public:
  Batch(Over over, const QueueTraits& traits) : queue_(Queue::create(regionOver(over, kIsm), traits)) {
    const auto source = Memory::allocate(kWindow);
    slot_ = queue_->sources().hold(source);
    entries_ = reinterpret_cast<wire::Entry*>(queue_->ringMemory()->base() + sizeof(wire::Header));
  }

  void word(uint64_t offset, uint64_t value) {
    wire::Entry& entry = claim(static_cast<uint32_t>(wire::Opcode::store) | 8 << 8, offset);
    entry.value = {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
  }

  void bytes(wire::Opcode kind, uint64_t offset, uint64_t length) {
    wire::Entry& entry = claim(static_cast<uint32_t>(kind), offset);
    entry.position = static_cast<double>(offset % kWindow);
    entry.source = slot_;
    entry.length = static_cast<double>(length);
  }

  void fence() { claim(static_cast<uint32_t>(wire::Opcode::fence), 0); }

  bool submit() { return submit(tail_); }
  // The next `count` of what is filled.
  bool submit(uint32_t count) {
    const uint32_t from = std::exchange(published_, published_ + count);
    return queue_->submit(from, published_).failure.status == Status::ok;
  }

  void restart() { tail_ = published_ = 0; }

 private:
  wire::Entry& claim(uint32_t opcode, uint64_t offset) {
    wire::Entry& entry = entries_[tail_++];
    entry = wire::Entry{};
    entry.opcode = opcode;
    entry.offset = static_cast<double>(offset);
    return entry;
  }

  const std::unique_ptr<Queue> queue_;
  wire::Entry* entries_;
  uint32_t slot_ = 0;
  uint32_t tail_ = 0;
  uint32_t published_ = 0;
};

template <Over over, Merge merge, bool relaxed, void (*fill)(Batch&)>
class Queued final : public Work {
 public:
  static std::unique_ptr<Work> open() { return std::make_unique<Queued>(); }
  void prepare() override {
    batch_.restart();
    fill(batch_);
  }
  bool run() override { return batch_.submit(); }

 private:
  Batch batch_{over, {kDepth, kBlock, merge, relaxed}};
};

void sequential(Batch& batch) {
  for (uint64_t i = 0; i < kWords; i++) batch.word(i * 8, i);
}

// None next to the one before.
void scattered(Batch& batch) {
  for (uint64_t i = 0; i < kWords; i++) batch.word(i * 2731 % kWords * 16, i);
}

template <uint64_t length, uint64_t count>
void writes(Batch& batch) {
  for (uint64_t i = 0; i < count; i++) batch.bytes(wire::Opcode::write, i * length, length);
}

void loads(Batch& batch) {
  for (uint64_t i = 0; i < 1024; i++) batch.bytes(wire::Opcode::load, i * 64, 64);
}

void fenced(Batch& batch) {
  for (uint64_t i = 0; i < kWords / 4; i++) {
    for (uint64_t word = 0; word < 3; word++) batch.word(i * 64 + word * 8, i);
    batch.fence();
  }
}

// A submit for each operation.
class OneByOne final : public Work {
 public:
  static std::unique_ptr<Work> open() { return std::make_unique<OneByOne>(); }
  void prepare() override {
    batch_.restart();
    sequential(batch_);
  }
  bool run() override {
    for (uint64_t i = 0; i < kWords; i++) {
      if (!batch_.submit(1)) return false;
    }
    return true;
  }

 private:
  Batch batch_{Over::memory, {kDepth, kBlock, Merge::none, false}};
};

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"plan/next/relaxed", 4096, Plan<kIsm, 4096>::open},
      {"plan/next/strict-128", 4096, Plan<kStrict, 4096>::open},
      {"access/store-8B/device", kWords, Direct<Over::device, kIsm, accesses<&Issuer::store, 8, kWords>>::open},
      {"access/store-8B/emulated", kWords, Direct<Over::emulated, kIsm, accesses<&Issuer::store, 8, kWords>>::open},
      {"access/load-8B/device", kWords, Direct<Over::device, kIsm, accesses<&Issuer::load, 8, kWords>>::open},
      {"access/read-4KiB/device", 64, Direct<Over::device, kIsm, accesses<&Issuer::read, kBlock, 64>>::open},
      {"access/block-4KiB/device", 64, Direct<Over::device, kIsm, accesses<&Issuer::storeBlock, kBlock, 64>>::open},
      {"access/block-4KiB/emulated", 256,
       Direct<Over::emulated, kIsm, accesses<&Issuer::storeBlock, kBlock, 256>>::open},
      {"access/write-8KiB/misaligned", 16, Direct<Over::device, kIsm, misaligned<&Issuer::write>>::open},
      {"access/write-8KiB/misaligned-strict-128", 16, Direct<Over::device, kStrict, misaligned<&Issuer::write>>::open},
      {"access/read-8KiB/misaligned", 16, Direct<Over::device, kIsm, misaligned<&Issuer::read>>::open},
      {"queue/words/unmerged", kWords, Queued<Over::memory, Merge::none, false, sequential>::open},
      {"queue/words/unmerged-emulated", kWords, Queued<Over::emulated, Merge::none, false, sequential>::open},
      {"queue/words/adjacent", kWords, Queued<Over::memory, Merge::adjacent, false, sequential>::open},
      {"queue/words/any", kWords, Queued<Over::memory, Merge::any, false, sequential>::open},
      {"queue/words/any-scattered", kWords, Queued<Over::memory, Merge::any, false, scattered>::open},
      {"queue/words/any-relaxed", kWords, Queued<Over::memory, Merge::any, true, scattered>::open},
      {"queue/words/fenced", kWords, Queued<Over::memory, Merge::adjacent, false, fenced>::open},
      {"queue/writes-24B/adjacent", 2048, Queued<Over::memory, Merge::adjacent, false, writes<24, 2048>>::open},
      {"queue/writes-24B/unmerged", 2048, Queued<Over::memory, Merge::none, false, writes<24, 2048>>::open},
      {"queue/blocks-4KiB/unmerged", 256, Queued<Over::memory, Merge::none, false, writes<kBlock, 256>>::open},
      {"queue/loads-64B/unmerged", 1024, Queued<Over::device, Merge::none, false, loads>::open},
      {"queue/batch/of-one", kWords, OneByOne::open},
  };
  return all;
}

}  // namespace ismio::bench
