// A batch for the executor: a ring that the test fills as JavaScript would, over a recording device.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "exec/executor.h"
#include "support/recorder.h"

namespace ismio::test {

struct Operation {
  wire::Opcode kind;
  uint64_t offset = 0;
  std::vector<uint8_t> bytes;  // store, write: what it writes; load: as many
  uint64_t position = 0;       // load: where in the source memory its bytes go
};

inline std::shared_ptr<Region> regionOver(std::unique_ptr<Backend> backend, uint64_t size, const Rules& rules,
                                          bool writable = true) {
  return Region::create({size, rules, Kind::device, writable, "test", "test"}, std::move(backend));
}

class Batch {
 public:
  static constexpr uint32_t kDepth = 256;

  Batch(const Rules& rules, Merge merge, bool relaxed, uint64_t size = 1 << 16, uint64_t together = 1)
      : Batch(std::make_unique<Recorder>(size, rules, together), rules, merge, relaxed, size) {}

  void store(uint64_t offset, const std::vector<uint8_t>& bytes) {
    wire::Entry& entry = claim(wire::Opcode::store, offset, bytes);
    entry.opcode |= static_cast<uint32_t>(bytes.size()) << 8;
    uint64_t value = 0;
    for (size_t i = bytes.size(); i > 0; i--) value = value << 8 | bytes[i - 1];
    entry.value = {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
  }

  // As many stores as there are words. Only what is meant is filled: the rest of its entries has what an older one
  // left.
  void series(uint64_t offset, int64_t step, const std::vector<uint64_t>& words, bool highFirst = false) {
    const auto first = static_cast<uint32_t>(operations.size());
    for (size_t i = 0; i < words.size(); i++) {
      std::vector<uint8_t> bytes(8);
      for (int b = 0; b < 8; b++) bytes[b] = static_cast<uint8_t>(words[i] >> 8 * b);
      std::memset(&claim(wire::Opcode::store, offset + i * step, bytes), 0x5a, sizeof(wire::Entry));
    }
    wire::Entry& head = entry(first);
    head.offset = static_cast<double>(offset);
    head.step = static_cast<double>(step);
    head.opcode = static_cast<uint32_t>(wire::Opcode::series) | (highFirst ? 1 : 0) << 8;
    head.count = static_cast<uint32_t>(words.size());
    auto* halves = reinterpret_cast<uint8_t*>(&head) + offsetof(wire::Entry, word);
    for (const uint64_t word : words) {
      const uint32_t pair[2] = {static_cast<uint32_t>(word >> (highFirst ? 32 : 0)),
                                static_cast<uint32_t>(word >> (highFirst ? 0 : 32))};
      std::memcpy(halves, pair, 8);
      halves += 8;
    }
  }

  // From here on entries that are free have something else in them before every access, as a caller in a hurry would
  // fill them.
  void refill() {
    device.beforeEach([this] {
      const uint32_t end = ring_.header->completed.load();
      for (; refilled_ < end; refilled_++) {
        ring_.at(refilled_) = wire::Entry{};
        ring_.at(refilled_).opcode = static_cast<uint32_t>(wire::Opcode::series);
        ring_.at(refilled_).count = kDepth - refilled_;
      }
    });
  }

  void write(uint64_t offset, const std::vector<uint8_t>& bytes) { place(wire::Opcode::write, offset, bytes); }
  void load(uint64_t offset, uint64_t length) { place(wire::Opcode::load, offset, std::vector<uint8_t>(length, 0xee)); }
  void fence() { claim(wire::Opcode::fence, 0, {}); }

  wire::Entry& entry(uint32_t index) const { return ring_.at(index); }
  // What the report of a failed batch says of one of its operations.
  static const wire::Outcome& outcome(const Report& report, uint32_t index) {
    REQUIRE(report.outcomes != nullptr);
    REQUIRE(index >= report.unfinished);
    REQUIRE(index < report.operations);
    return reinterpret_cast<const wire::Outcome*>(report.outcomes->base())[index - report.unfinished];
  }
  const uint8_t* loaded(uint32_t index) const { return memory_->base() + operations[index].position; }
  void unfold() { executor_.unfold(0, static_cast<uint32_t>(operations.size())); }
  Report run() { return executor_.run(0, static_cast<uint32_t>(operations.size()), Stop(stop)); }

  std::vector<Operation> operations;
  std::atomic<uint32_t> stop{0};
  Recorder& device;
  const std::shared_ptr<Region> region;

 private:
  Batch(std::unique_ptr<Recorder> recorder, const Rules& rules, Merge merge, bool relaxed, uint64_t size)
      : device(*recorder),
        region(regionOver(std::move(recorder), size, rules)),
        ringMemory_(Memory::allocate(sizeof(wire::Header) + sizeof(wire::Entry) * kDepth)),
        memory_(Memory::allocate(1 << 20)),
        ring_{new (ringMemory_->base()) wire::Header{},
              reinterpret_cast<wire::Entry*>(ringMemory_->base() + sizeof(wire::Header)), kDepth},
        sources_(memory_, kDepth),
        executor_(region, ring_, sources_, merge, relaxed) {}

  wire::Entry& claim(wire::Opcode kind, uint64_t offset, const std::vector<uint8_t>& bytes) {
    const auto index = static_cast<uint32_t>(operations.size());
    REQUIRE(index < kDepth);
    operations.push_back({kind, offset, bytes});
    wire::Entry& entry = ring_.at(index);
    entry = wire::Entry{};
    entry.offset = static_cast<double>(offset);
    entry.opcode = static_cast<uint32_t>(kind);
    return entry;
  }

  void place(wire::Opcode kind, uint64_t offset, const std::vector<uint8_t>& bytes) {
    wire::Entry& entry = claim(kind, offset, bytes);
    entry.position = static_cast<double>(placed_);
    entry.length = static_cast<double>(bytes.size());
    operations.back().position = placed_;
    std::copy(bytes.begin(), bytes.end(), memory_->base() + placed_);
    placed_ += bytes.size();
  }

  const std::shared_ptr<Memory> ringMemory_;
  const std::shared_ptr<Memory> memory_;
  const Ring ring_;
  const Sources sources_;
  Executor executor_;
  uint64_t placed_ = 0;
  uint32_t refilled_ = 0;
};

}  // namespace ismio::test
