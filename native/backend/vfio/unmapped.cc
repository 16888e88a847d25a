#include "backend/vfio/unmapped.h"

#include <cerrno>
#include <utility>

namespace ismio {
namespace {

// Stores of a call between two looks at the length: some ten microseconds, and then a look costs 1 % of them.
constexpr uint64_t kUnseen = 64;

}  // namespace

Unmapped::Unmapped(std::unique_ptr<File> file, std::unique_ptr<Vfio> calls, uint64_t end)
    : Backend(calls->together, calls->loadsTogether), file_(std::move(file)), calls_(std::move(calls)), end_(end) {}

Status Unmapped::look(Failure& failure) {
  if (lost_.load(std::memory_order_relaxed)) {
    failure.loss = Loss::truncated;
    return Status::regionLost;
  }
  const Status status = file_->reaches(end_, failure);
  if (status == Status::regionLost) lost_.store(true, std::memory_order_relaxed);
  return status;
}

Status Unmapped::mayStore(uint64_t count, Failure& failure) {
  const bool seen = failure.unseen > 0 && failure.unseen + count <= kUnseen && !lost_.load(std::memory_order_relaxed);
  if (!seen) {
    const Status status = look(failure);
    if (status != Status::ok) return status;
    failure.unseen = 0;
  }
  failure.unseen += static_cast<uint32_t>(count);
  return Status::ok;
}

// A file that ended too early has answered with too few bytes, which looks like EIO.
Status Unmapped::loaded(Status status, Failure& failure) {
  if (status != Status::deviceError) return status;
  const Status length = look(failure);
  return length == Status::ok ? status : length;
}

Status Unmapped::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  if (lost_.load(std::memory_order_relaxed)) return look(failure);
  return loaded(calls_->load(offset, target, width, failure), failure);
}

Status Unmapped::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  done = 0;
  if (lost_.load(std::memory_order_relaxed)) return look(failure);
  return loaded(calls_->loadWords(offset, target, words, done, failure), failure);
}

Status Unmapped::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  const Status status = mayStore(1, failure);
  return status == Status::ok ? calls_->store(offset, source, width, failure) : status;
}

Status Unmapped::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  done = 0;
  const Status status = mayStore(count, failure);
  return status == Status::ok ? calls_->storeWords(words, count, done, failure) : status;
}

Status Unmapped::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Status status = mayStore(1, failure);
  return status == Status::ok ? calls_->storeBlock(offset, source, length, failure) : status;
}

Status Unmapped::storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
  done = 0;
  const Status status = mayStore(count, failure);
  return status == Status::ok ? calls_->storeBlocks(blocks, count, done, failure) : status;
}

void Unmapped::fence() { calls_->fence(); }

}  // namespace ismio
