#include "backend/emulated/sparse.h"

#include <cstring>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <utility>

#include "plan/planner.h"
#include "support/pages.h"

namespace ismio {
namespace {

void* mapZeros(uint64_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

// A word of a device is stored or loaded whole, also when another thread looks at it.
void copyIn(uint8_t* target, const uint8_t* source, uint64_t length) {
  if (length == 8 && reinterpret_cast<uintptr_t>(target) % 8 == 0) {
    uint64_t word;
    std::memcpy(&word, source, 8);
    __atomic_store_n(reinterpret_cast<uint64_t*>(target), word, __ATOMIC_RELAXED);
  } else {
    std::memcpy(target, source, length);
  }
}

void copyOut(uint8_t* target, const uint8_t* source, uint64_t length) {
  if (length == 8 && reinterpret_cast<uintptr_t>(source) % 8 == 0) {
    const uint64_t word = __atomic_load_n(reinterpret_cast<const uint64_t*>(source), __ATOMIC_RELAXED);
    std::memcpy(target, &word, 8);
  } else {
    std::memcpy(target, source, length);
  }
}

}  // namespace

SparseBytes::SparseBytes(uint64_t size, std::shared_ptr<Account> account)
    : chunks_((size + kChunk - 1) / kChunk), account_(std::move(account)) {
  directory_ = static_cast<std::atomic<uint8_t*>*>(mapZeros(chunks_ * sizeof(*directory_)));
}

SparseBytes::~SparseBytes() {
  while (installed_ != nullptr) {
    unmapPages(installed_->chunk, kChunk);
    if (account_ != nullptr) account_->fetch_sub(kChunk, std::memory_order_relaxed);
    delete std::exchange(installed_, installed_->before);
  }
  if (directory_ != nullptr) unmapPages(static_cast<void*>(directory_), chunks_ * sizeof(*directory_));
}

uint8_t* SparseBytes::chunkFor(uint64_t number) {
  uint8_t* chunk = directory_[number].load(std::memory_order_acquire);
  if (chunk != nullptr) return chunk;
  const std::lock_guard<std::mutex> lock(installing_);
  chunk = directory_[number].load(std::memory_order_relaxed);
  return chunk != nullptr ? chunk : install(number);
}

uint8_t* SparseBytes::install(uint64_t number) {
  std::unique_ptr<Installed> entry(new (std::nothrow) Installed{nullptr, installed_});
  if (entry == nullptr) return nullptr;
  entry->chunk = static_cast<uint8_t*>(mapZeros(kChunk));
  if (entry->chunk == nullptr) return nullptr;
  if (account_ != nullptr) account_->fetch_add(kChunk, std::memory_order_relaxed);
  installed_ = entry.release();
  directory_[number].store(installed_->chunk, std::memory_order_release);
  return installed_->chunk;
}

bool SparseBytes::store(uint64_t offset, const uint8_t* source, uint64_t length) {
  while (length > 0) {
    const uint64_t within = offset % kChunk;
    const uint64_t part = least(length, kChunk - within);
    uint8_t* chunk = chunkFor(offset / kChunk);
    if (chunk == nullptr) return false;
    copyIn(chunk + within, source, part);
    offset += part;
    source += part;
    length -= part;
  }
  return true;
}

void SparseBytes::load(uint64_t offset, uint8_t* target, uint64_t length) const {
  while (length > 0) {
    const uint64_t within = offset % kChunk;
    const uint64_t part = least(length, kChunk - within);
    const uint8_t* chunk = directory_[offset / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr) {
      std::memset(target, 0, part);
    } else {
      copyOut(target, chunk + within, part);
    }
    offset += part;
    target += part;
    length -= part;
  }
}

}  // namespace ismio
