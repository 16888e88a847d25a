#include "device/answered.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "support/pause.h"

namespace ismio::device {
namespace {

template <class Int>
void moveOne(uint8_t* target, const uint8_t* source) {
  Int value;
  __atomic_load(reinterpret_cast<const Int*>(source), &value, __ATOMIC_RELAXED);
  __atomic_store(reinterpret_cast<Int*>(target), &value, __ATOMIC_RELAXED);
}

// One access of that width on the side of the memory, whose place is a multiple of it; the other side need not be.
void loadOne(uint8_t* target, const uint8_t* memory, uint32_t width) {
  alignas(8) uint8_t word[8];
  if (width == 1) moveOne<uint8_t>(word, memory);
  if (width == 2) moveOne<uint16_t>(word, memory);
  if (width == 4) moveOne<uint32_t>(word, memory);
  if (width == 8) moveOne<uint64_t>(word, memory);
  memcpy(target, word, width);
}

void storeOne(uint8_t* memory, const uint8_t* source, uint32_t width) {
  alignas(8) uint8_t word[8];
  memcpy(word, source, width);
  if (width == 1) moveOne<uint8_t>(memory, word);
  if (width == 2) moveOne<uint16_t>(memory, word);
  if (width == 4) moveOne<uint32_t>(memory, word);
  if (width == 8) moveOne<uint64_t>(memory, word);
}

}  // namespace

// A handler that refuses is condition code 1, as a device's own error. What the kernel's driver says of a device that
// is not there, ENODEV, is a region that is lost.
Status ended(int32_t error, Failure& failure) {
  failure.errorNumber = error;
  switch (error) {
    case 0: return Status::ok;
    case EIO: failure.conditionCode = 1; return Status::deviceError;
    case EBUSY: failure.conditionCode = 2; return Status::busy;
    case ENODEV: failure.loss = Loss::device; return Status::regionLost;
    case EDEADLK: return Status::deadlock;
    case ETIMEDOUT: return Status::unanswered;
    default: return Status::systemError;
  }
}

Answered::Answered(std::shared_ptr<Function> function, uint32_t bar, const Rules& rules, const Cost& cost,
                   const std::vector<Fault>& faults, uint64_t seed)
    : Backend(1), function_(std::move(function)), bar_(bar), rules_(rules), cost_(cost), faults_(faults, seed) {}

Status Answered::before(Access access, uint64_t offset, uint64_t length, double cost, Failure& failure) {
  if (function_->gone.load()) return ended(ENODEV, failure);
  const double spent = cost + cost_.perByte * static_cast<double>(length);
  if (spent > 0) pauseFor(spent);
  const Status struck = faults_.strike(access, offset, length, failure.tries > 0, failure);
  if (struck != Status::ok) return struck;
  if (function_->decodes.load()) return Status::ok;
  failure.errorNumber = EIO;  // as vfio-pci answers where memory decode is off
  return Status::deviceError;
}

std::shared_ptr<Request> Answered::request(Handled kind, uint64_t offset, uint32_t length) const {
  auto asked = std::make_shared<Request>();
  asked->function = function_;
  asked->kind = kind;
  asked->region = bar_;
  asked->offset = offset;
  asked->length = length;
  return asked;
}

Status Answered::ask(const std::shared_ptr<Request>& request, Failure& failure) const {
  const bool answers = function_->bars[bar_].answers;
  const int32_t error = answers ? function_->desk->ask(request, kAnswerWithin) : EIO;
  if (error == EIO) function_->refused.store(true);
  return ended(error, failure);
}

Status Answered::take(Engine& engine, uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  return ended(engine.store(offset, source, length, failure.deviceStatus), failure);
}

Status Answered::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const Status may = before(Access::load, offset, width, cost_.load, failure);
  if (may != Status::ok) return may;
  if (const uint8_t* memory = function_->memoryAt(bar_, offset, width)) {
    loadOne(target, memory, width);
    return Status::ok;
  }
  const std::shared_ptr<Request> asked = request(Handled::load, offset, width);
  const Status status = ask(asked, failure);
  if (status == Status::ok) memcpy(target, asked->word, width);
  return status;
}

Status Answered::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  const Status may = before(Access::store, offset, width, cost_.store, failure);
  if (may != Status::ok) return may;
  const Function::Stretch stretch = function_->stretchAt(bar_, offset, width);
  if (stretch.memory != nullptr && stretch.length == width) {
    storeOne(stretch.memory, source, width);
    return Status::ok;
  }
  if (stretch.engine != nullptr && stretch.length == width)
    return take(*stretch.engine, offset, source, width, failure);
  const std::shared_ptr<Request> asked = request(Handled::store, offset, width);
  memcpy(asked->word, source, width);
  return ask(asked, failure);
}

Status Answered::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  failure.rule = broken(rules_, offset, length);
  if (failure.rule != Rule::none) {
    failure.errorNumber = errorNumberOf(failure.rule);
    return Status::ruleBroken;
  }
  const Status may = before(Access::storeBlock, offset, length, cost_.storeBlock, failure);
  if (may != Status::ok) return may;
  Status status = Status::ok;
  for (uint32_t done = 0; done < length && status == Status::ok;) {
    const Function::Stretch stretch = function_->stretchAt(bar_, offset + done, length - done);
    const auto part = static_cast<uint32_t>(stretch.length);
    if (stretch.memory != nullptr) {
      memcpy(stretch.memory, source + done, part);
    } else if (stretch.engine != nullptr) {
      status = take(*stretch.engine, offset + done, source + done, part, failure);
    } else {
      const std::shared_ptr<Request> asked = request(Handled::storeBlock, offset + done, part);
      asked->block.assign(source + done, source + done + part);
      status = ask(asked, failure);
    }
    done += part;
  }
  return status;
}

void Answered::fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace ismio::device
