// Page-aligned memory that JavaScript sees as an ArrayBuffer and the engine reads without a copy.
//
// Whoever uses it holds a reference: the ArrayBuffer, each queue with operations on it, each worker that was handed its
// id. It is unmapped when the last of them lets go, so a garbage-collected or detached buffer never pulls memory from
// under a store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ismio {

class Memory {
 public:
  // Null when the system has none left. Zeroed. The id is unique in this process and never used again.
  static std::shared_ptr<Memory> allocate(size_t bytes);
  // Null when nothing with this id is alive.
  static std::shared_ptr<Memory> find(uint64_t id);

  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* base() const { return base_; }
  size_t size() const { return size_; }
  // Whole pages: what there is behind `size`, zeroed, and nobody else's.
  size_t mapped() const;
  uint64_t id() const { return id_; }

 private:
  Memory(uint8_t* base, size_t size);

  uint8_t* const base_;
  const size_t size_;
  uint64_t id_ = 0;
};

}  // namespace ismio
