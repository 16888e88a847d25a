// Page-aligned memory that JavaScript sees as an ArrayBuffer and the engine reads without a copy.
//
// Whoever uses it holds a reference: the ArrayBuffer, each queue with operations on it, each worker that was handed its
// id. It is unmapped when the last of them lets go, so a buffer that was collected, detached or freed never pulls
// memory from under a store.
//
// Shared memory is a file without a name (memfd) that is mapped twice: here, for the engine, and over the pages of a
// SharedArrayBuffer, for JavaScript. V8 decides when the second goes, so the engine never uses it; and as long as it is
// there, in whichever thread, the memory is found by the address at which JavaScript sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ismio {

class Memory {
 public:
  // Null when the system has none left. Zeroed. The id is unique in this process and never used again.
  static std::shared_ptr<Memory> allocate(size_t bytes);
  // Memory that shows at `view`, over pages which are the caller's to give: the first `bytes` of them, rounded up to
  // whole pages. 0, or the errno of what was refused. All of its pages are taken from the system at once.
  static int share(uint8_t* view, size_t bytes, std::shared_ptr<Memory>& made);
  // What is shared at `view`; null for any other address.
  static std::shared_ptr<Memory> at(const uint8_t* view);
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
  // The file that shared memory is; -1 where it is not shared. Stays open as long as the memory is there.
  int descriptor() const { return descriptor_; }

  // The reference of the ArrayBuffer over it, which is given back once, by whoever comes first: its finalizer, or
  // somebody who frees it by hand.
  static void lend(const std::shared_ptr<Memory>& memory);
  static void giveBack(uint64_t id);
  // Gives back what is shared and no thread's JavaScript sees any more.
  static void giveBackUnseen();

 private:
  Memory(uint8_t* base, size_t size, int descriptor = -1);
  static bool isAskDue();
  static int shareNow(uint8_t* view, size_t bytes, std::shared_ptr<Memory>& made);

  uint8_t* base_;
  const size_t size_;
  const int descriptor_;  // -1: not shared
  uint64_t inode_ = 0;
  uint64_t id_ = 0;
};

}  // namespace ismio
