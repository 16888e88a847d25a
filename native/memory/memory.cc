#include "memory/memory.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <linux/memfd.h>
#include <mutex>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

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

// What JavaScript has, by id; shared memory by the address of its view as well.
struct Lent {
  std::mutex mutex;
  std::unordered_map<uint64_t, std::shared_ptr<Memory>> all;
  std::unordered_map<const uint8_t*, uint64_t> views;
  size_t shared = 0;  // since the kernel was asked last
};

// So many are shared before the kernel is asked which are still seen, or as many as there were then: its answer is a
// line for each mapping of the process, which with a thousand takes milliseconds.
constexpr size_t kSharedUnasked = 64;

Lent& lent() {
  static auto& all = *new Lent;
  return all;
}

size_t wholePages(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) & ~(page - 1);
}

// The mappings of files of this process, as pairs of address and inode. False where the kernel does not tell.
bool mappedFiles(std::set<std::pair<uint64_t, uint64_t>>& files) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return false;
  char line[4352];  // a path has 4096 bytes at most
  while (fgets(line, sizeof line, maps) != nullptr) {
    uint64_t start = 0;
    uint64_t inode = 0;
    if (sscanf(line, "%" SCNx64 "-%*x %*s %*x %*x:%*x %" SCNu64, &start, &inode) == 2) files.emplace(start, inode);
  }
  const bool whole = ferror(maps) == 0;
  return fclose(maps) == 0 && whole;
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

int Memory::share(uint8_t* view, size_t bytes, std::shared_ptr<Memory>& made) {
  if (isAskDue()) giveBackUnseen();
  int refused = shareNow(view, bytes, made);
  // What nobody sees any more may be what is lacking.
  if (refused == ENOMEM || refused == EMFILE || refused == ENFILE) {
    giveBackUnseen();
    refused = shareNow(view, bytes, made);
  }
  return refused;
}

bool Memory::isAskDue() {
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.shared >= std::max(kSharedUnasked, all.views.size() / 2);
}

int Memory::shareNow(uint8_t* view, size_t bytes, std::shared_ptr<Memory>& made) {
  const size_t length = wholePages(bytes);
  const auto descriptor = static_cast<int>(syscall(SYS_memfd_create, "ismio", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (descriptor < 0) return errno;
  std::shared_ptr<Memory> memory(new Memory(nullptr, bytes, descriptor));
  struct stat status;
  // All pages now, and none less ever: a page that could not be had later, or that somebody cut off who has the
  // descriptor, would be a SIGBUS in the middle of the program.
  if (ftruncate(descriptor, static_cast<off_t>(length)) != 0 ||
      fallocate(descriptor, 0, 0, static_cast<off_t>(length)) != 0 ||
      fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0 || fstat(descriptor, &status) != 0) {
    return errno;
  }
  memory->inode_ = status.st_ino;
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  void* base = mmap(nullptr, length, kAccess, MAP_SHARED, descriptor, 0);
  if (base == MAP_FAILED) return errno;
  memory->base_ = static_cast<uint8_t*>(base);
  if (mmap(view, length, kAccess, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) return errno;
  memory->id_ = directory().add(memory);
  std::shared_ptr<Memory> unseen;  // what V8 had at these pages before, and has unmapped
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto [place, added] = all.views.emplace(view, memory->id_);
  if (!added) {
    const auto before = all.all.find(std::exchange(place->second, memory->id_));
    unseen = std::move(before->second);
    all.all.erase(before);
  }
  all.all[memory->id_] = memory;
  all.shared++;
  made = std::move(memory);
  return 0;
}

std::shared_ptr<Memory> Memory::at(const uint8_t* view) {
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.views.find(view);
  return found == all.views.end() ? nullptr : directory().find(found->second);
}

std::shared_ptr<Memory> Memory::find(uint64_t id) { return directory().find(id); }

void Memory::lend(const std::shared_ptr<Memory>& memory) {
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.all[memory->id()] = memory;
}

void Memory::giveBack(uint64_t id) {
  std::shared_ptr<Memory> last;  // unmapped, if nobody else has it, after the lock was given up
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.all.find(id);
  if (found == all.all.end()) return;
  last = std::move(found->second);
  all.all.erase(found);
}

// V8 unmaps the pages of a SharedArrayBuffer when the last thread lets go of it, and tells nobody. So the kernel is
// asked which are mapped still. Where it does not tell (no /proc), what was shared stays.
void Memory::giveBackUnseen() {
  std::set<std::pair<uint64_t, uint64_t>> files;
  std::vector<std::shared_ptr<Memory>> unseen;
  Lent& all = lent();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.shared = 0;
  if (all.views.empty() || !mappedFiles(files)) return;
  for (auto view = all.views.begin(); view != all.views.end();) {
    const auto found = all.all.find(view->second);
    const bool seen = files.contains({reinterpret_cast<uint64_t>(view->first), found->second->inode_});
    if (!seen) {
      unseen.push_back(std::move(found->second));
      all.all.erase(found);
    }
    view = seen ? std::next(view) : all.views.erase(view);
  }
}

Memory::Memory(uint8_t* base, size_t size, int descriptor) : base_(base), size_(size), descriptor_(descriptor) {}

size_t Memory::mapped() const { return wholePages(size_); }

Memory::~Memory() {
  directory().remove(id_);
  if (base_ != nullptr) unmapPages(base_, mapped());
  if (descriptor_ >= 0) close(descriptor_);  // of memory: there is nothing that closing could fail to write
}

}  // namespace ismio
