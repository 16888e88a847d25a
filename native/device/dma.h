// What a device reads and writes by itself: bus addresses, and the memory that its driver mapped there.
//
// Ranges never overlap, and are unmapped whole, as of a type 1 container (Linux drivers/vfio/vfio_iommu_type1.c).
// Memory is either mapped in this process, or far: then its owner is asked for each access. Threads may use one map at
// once; what is unmapped is reached by nobody any more when `unmap` returns.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>

namespace ismio::device {

// Who reads and writes memory that is not mapped here. Answers 0 or an errno.
class Far {
 public:
  Far() = default;
  Far(const Far&) = delete;
  Far& operator=(const Far&) = delete;
  virtual ~Far() = default;
  virtual int32_t read(uint64_t address, uint8_t* target, uint64_t length) = 0;
  virtual int32_t write(uint64_t address, const uint8_t* source, uint64_t length) = 0;
};

class DmaMap {
 public:
  struct Mapping {
    uint64_t length = 0;
    bool readable = false;
    bool writable = false;
    uint8_t* base = nullptr;     // null: far
    std::shared_ptr<void> held;  // what keeps `base` where it is
    std::shared_ptr<Far> far;
    std::function<bool()> lost = nullptr;  // whether its owner took it away; null: nobody can
    int descriptor = -1;                   // of the file whose first `length` bytes it is, while held; -1: not known
  };
  // A view of mapped memory; `held` keeps it.
  struct View {
    uint8_t* base = nullptr;
    std::shared_ptr<void> held;
  };

  // `most`: how many mappings there may be.
  explicit DmaMap(uint64_t most) : most_(most) {}
  DmaMap(const DmaMap&) = delete;
  DmaMap& operator=(const DmaMap&) = delete;

  // 0; EINVAL for a length of 0 or a range past 2^64; EEXIST where something is mapped already; ENOSPC.
  int32_t map(uint64_t iova, Mapping mapping);
  // 0, and the bytes that were unmapped; EINVAL, and nothing is, where a mapping lies in the range in part only.
  int32_t unmap(uint64_t iova, uint64_t length, uint64_t& unmapped);
  void clear();

  // Across mappings that lie one behind the other. 0; EFAULT where something of it is not mapped, or lost, EACCES
  // where that may not be read or written, or what its owner answered: what lies before is done.
  int32_t read(uint64_t iova, uint8_t* target, uint64_t length) const;
  int32_t write(uint64_t iova, const uint8_t* source, uint64_t length) const;
  // The same, of memory that is mapped in this process alone, so that nobody is waited for: EFAULT for what is far.
  int32_t writeNear(uint64_t iova, const uint8_t* source, uint64_t length) const;
  // Calls `use` with where the range is mapped: it is not unmapped meanwhile. False, and no call, where `view` has
  // none.
  template <class Use>
  bool with(uint64_t iova, uint64_t length, Use use) const {
    const std::shared_lock lock(mutex_);
    uint8_t* base = baseOf(iova, length);
    if (base != nullptr) use(base);
    return base != nullptr;
  }
  // Null where it is far, lies in no single mapping, or may not be read and written.
  View view(uint64_t iova, uint64_t length) const;
  // Another descriptor, the caller's, of the file that the range is, and that holds nothing else but the rest of its
  // last page. -1 where there is no such file.
  int share(uint64_t iova, uint64_t length) const;
  // Whether all of it is mapped in this process, in one piece or in several (a guest's memory comes page by page), and
  // may be read and written.
  bool covers(uint64_t iova, uint64_t length) const;

  uint64_t mappings() const;

 private:
  using Mappings = std::map<uint64_t, Mapping>;
  template <class Move>
  int32_t each(uint64_t iova, uint64_t length, Move move) const;
  Mappings::const_iterator at(uint64_t iova) const;
  uint8_t* baseOf(uint64_t iova, uint64_t length) const;
  static bool usable(const Mapping& mapping) { return mapping.base != nullptr && mapping.readable && mapping.writable; }

  const uint64_t most_;
  mutable std::shared_mutex mutex_;
  Mappings mappings_;
};

}  // namespace ismio::device
