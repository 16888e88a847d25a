#include "memory/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "support/directory.h"
#include "support/pages.h"

namespace ismio {
namespace {

// Memory of this size and more is offered to the kernel for huge pages: a copy then misses the TLB 512 times less.
constexpr size_t kHugePage = 2u << 20;

Directory<Memory>& directory() {
  static auto& all = *new Directory<Memory>;  // outlives every thread that may still look something up at exit
  return all;
}

}  // namespace

std::shared_ptr<Memory> Memory::allocate(size_t bytes) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  if (bytes >= kHugePage) madvise(base, bytes, MADV_HUGEPAGE);  // advice: without it the memory is as good
  std::shared_ptr<Memory> memory(new Memory(static_cast<uint8_t*>(base), bytes));
  memory->id_ = directory().add(memory);
  return memory;
}

std::shared_ptr<Memory> Memory::find(uint64_t id) { return directory().find(id); }

Memory::Memory(uint8_t* base, size_t size) : base_(base), size_(size) {}

size_t Memory::mapped() const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size_ + page - 1) & ~(page - 1);
}

Memory::~Memory() {
  directory().remove(id_);
  unmapPages(base_, mapped());
}

}  // namespace ismio
