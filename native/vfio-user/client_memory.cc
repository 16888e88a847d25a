#include "vfio-user/client_memory.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backend/mapped/guard.h"
#include "support/pages.h"

namespace ismio::vfio_user {
namespace {

// A client may cut its file off at any time, and the kernel then sends SIGBUS to whoever touches what is gone. Under
// the guard there are zeros instead, and the device's access that met them, and each one behind it, is told EFAULT.
class ClientMemory {
 public:
  ClientMemory() = default;
  ~ClientMemory() {
    guard_.release();
    if (pages_ != nullptr) unmapPages(pages_, length_);
    if (descriptor_ >= 0) close(descriptor_);
  }
  ClientMemory(const ClientMemory&) = delete;
  ClientMemory& operator=(const ClientMemory&) = delete;

  int32_t map(int descriptor, uint64_t offset, size_t length, int protection, size_t pageSize) {
    void* pages = mmap(nullptr, length, protection, MAP_SHARED, descriptor, static_cast<off_t>(offset));
    if (pages == MAP_FAILED) return errno;
    pages_ = static_cast<uint8_t*>(pages);
    length_ = length;
    return guard_.watch(pages_, length_, pageSize);
  }
  int32_t keep(int descriptor) {
    descriptor_ = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return descriptor_ < 0 ? errno : 0;
  }
  uint8_t* pages() const { return pages_; }
  int descriptor() const { return descriptor_; }
  bool lost() const { return guard_.lost(); }

 private:
  uint8_t* pages_ = nullptr;
  size_t length_ = 0;
  int descriptor_ = -1;
  Guard guard_;
};

// Of the file: larger than the system's on hugetlbfs.
size_t pageSizeOf(int descriptor) {
  struct statfs status;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (fstatfs(descriptor, &status) != 0 || status.f_type != HUGETLBFS_MAGIC) return page;
  return static_cast<size_t>(status.f_bsize);
}

bool isMemory(int descriptor) {
  struct statfs status;
  return fstatfs(descriptor, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

}  // namespace

int32_t mapClientMemory(int descriptor, const DmaMapRequest& asked, bool kept, device::DmaMap::Mapping& mapping) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EINVAL;
  const auto there = static_cast<uint64_t>(status.st_size);
  if (asked.offset > there || asked.size > there - asked.offset) return EINVAL;
  const size_t page = pageSizeOf(descriptor);
  const uint64_t begin = asked.offset & ~static_cast<uint64_t>(page - 1);
  const auto before = static_cast<size_t>(asked.offset - begin);
  const size_t length = (before + asked.size + page - 1) & ~(page - 1);
  const int protection = (mapping.readable ? PROT_READ : 0) | (mapping.writable ? PROT_WRITE : 0);
  const auto memory = std::make_shared<ClientMemory>();
  if (const int32_t refused = memory->map(descriptor, begin, length, protection, page); refused != 0) return refused;
  if (kept && asked.offset == 0 && isMemory(descriptor)) {
    if (const int32_t refused = memory->keep(descriptor); refused != 0) return refused;
    mapping.descriptor = memory->descriptor();
  }
  mapping.base = memory->pages() + before;
  mapping.held = memory;
  mapping.lost = [held = memory.get()] { return held->lost(); };
  return 0;
}

}  // namespace ismio::vfio_user
