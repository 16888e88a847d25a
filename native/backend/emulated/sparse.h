// Sparse bytes: up to 2^48 of them, where only what was stored to takes memory.
//
//     offset   47........21 20........0
//              chunk number  byte in chunk
//
// The directory is an array of pointers, one for each 2 MiB chunk, itself mapped without reserve: for 2^48 bytes it
// spans 1 GiB of addresses, of which the kernel backs the touched pages only. Chunks come with the first store to them
// and stay until the region goes; a load where nothing was stored reads zeros and allocates nothing. Threads may store
// and load at once: a chunk is installed once, under a lock, and found without one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace ismio {

class SparseBytes {
 public:
  // How many bytes the chunks of many such have together; whoever made them looks at it.
  using Account = std::atomic<uint64_t>;

  // `account` may be null.
  explicit SparseBytes(uint64_t size, std::shared_ptr<Account> account = nullptr);
  ~SparseBytes();
  SparseBytes(const SparseBytes&) = delete;
  SparseBytes& operator=(const SparseBytes&) = delete;

  bool ready() const { return directory_ != nullptr; }
  // False when no memory could be had for a chunk; what lies before it is stored.
  bool store(uint64_t offset, const uint8_t* source, uint64_t length);
  void load(uint64_t offset, uint8_t* target, uint64_t length) const;

 private:
  static constexpr uint64_t kChunk = 1u << 21;
  // A list, because a vector that grows throws where there is no memory left.
  struct Installed {
    uint8_t* chunk;
    Installed* before;
  };
  uint8_t* chunkFor(uint64_t number);
  uint8_t* install(uint64_t number);

  const uint64_t chunks_;
  const std::shared_ptr<Account> account_;
  std::atomic<uint8_t*>* directory_ = nullptr;
  std::mutex installing_;
  Installed* installed_ = nullptr;
};

}  // namespace ismio
