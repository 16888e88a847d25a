#include "device/dma.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ismio::device {

// The mapping that has this address, or `end`.
DmaMap::Mappings::const_iterator DmaMap::at(uint64_t iova) const {
  const auto after = mappings_.upper_bound(iova);
  if (after == mappings_.begin()) return mappings_.end();
  const auto found = std::prev(after);
  return iova - found->first < found->second.length ? found : mappings_.end();
}

// A range may end at exactly 2^64, so ends are its last bytes.
int32_t DmaMap::map(uint64_t iova, Mapping mapping) {
  if (mapping.length == 0 || mapping.length - 1 > UINT64_MAX - iova) return EINVAL;
  const uint64_t last = iova + (mapping.length - 1);
  const std::unique_lock lock(mutex_);
  const auto after = mappings_.upper_bound(last);
  if (after != mappings_.begin()) {
    const auto& [begin, before] = *std::prev(after);
    if (begin + (before.length - 1) >= iova) return EEXIST;
  }
  if (mappings_.size() >= most_) return ENOSPC;
  mappings_.emplace(iova, std::move(mapping));
  return 0;
}

int32_t DmaMap::unmap(uint64_t iova, uint64_t length, uint64_t& unmapped) {
  unmapped = 0;
  if (length == 0 || length - 1 > UINT64_MAX - iova) return EINVAL;
  const uint64_t last = iova + (length - 1);
  Mappings gone;  // let go of behind the lock: to unmap a file takes its time
  {
    const std::unique_lock lock(mutex_);
    const auto first = mappings_.lower_bound(iova);
    const auto holder = at(iova);
    if (holder != mappings_.end() && holder->first != iova) return EINVAL;
    auto end = first;
    for (; end != mappings_.end() && end->first <= last; ++end) {
      if (end->first + (end->second.length - 1) > last) return EINVAL;
    }
    for (auto one = first; one != end;) {
      unmapped += one->second.length;
      gone.insert(mappings_.extract(one++));
    }
  }
  return 0;
}

void DmaMap::clear() {
  Mappings gone;
  const std::unique_lock lock(mutex_);
  gone.swap(mappings_);
}

// Memory is accessed under the lock, so that it is not unmapped meanwhile. What is far is asked without it: its owner
// may have to map or unmap before it can answer.
template <class Move>
int32_t DmaMap::each(uint64_t iova, uint64_t length, Move move) const {
  if (length > 0 && length - 1 > UINT64_MAX - iova) return EFAULT;
  for (uint64_t done = 0; done < length;) {
    std::shared_ptr<Far> far;
    uint64_t step = 0;
    {
      const std::shared_lock lock(mutex_);
      const auto found = at(iova + done);
      if (found == mappings_.end()) return EFAULT;
      const Mapping& mapping = found->second;
      const uint64_t within = iova + done - found->first;
      step = std::min(length - done, mapping.length - within);
      if (!move.allowed(mapping)) return EACCES;
      if (mapping.base != nullptr) {
        move.near(mapping.base + within, done, step);
        if (mapping.lost != nullptr && mapping.lost()) return EFAULT;
      } else {
        far = mapping.far;
      }
    }
    if (far != nullptr) {
      const int32_t error = move.far(*far, iova + done, done, step);
      if (error != 0) return error;
    }
    done += step;
  }
  return 0;
}

int32_t DmaMap::read(uint64_t iova, uint8_t* target, uint64_t length) const {
  struct Reading {
    uint8_t* target;
    static bool allowed(const Mapping& mapping) { return mapping.readable; }
    void near(const uint8_t* source, uint64_t done, uint64_t step) const { memcpy(target + done, source, step); }
    int32_t far(Far& owner, uint64_t address, uint64_t done, uint64_t step) const {
      return owner.read(address, target + done, step);
    }
  };
  return each(iova, length, Reading{target});
}

int32_t DmaMap::write(uint64_t iova, const uint8_t* source, uint64_t length) const {
  struct Writing {
    const uint8_t* source;
    static bool allowed(const Mapping& mapping) { return mapping.writable; }
    void near(uint8_t* target, uint64_t done, uint64_t step) const { memcpy(target, source + done, step); }
    int32_t far(Far& owner, uint64_t address, uint64_t done, uint64_t step) const {
      return owner.write(address, source + done, step);
    }
  };
  return each(iova, length, Writing{source});
}

int32_t DmaMap::writeNear(uint64_t iova, const uint8_t* source, uint64_t length) const {
  struct Writing {
    const uint8_t* source;
    static bool allowed(const Mapping& mapping) { return mapping.writable; }
    void near(uint8_t* target, uint64_t done, uint64_t step) const { memcpy(target, source + done, step); }
    static int32_t far(Far&, uint64_t, uint64_t, uint64_t) { return EFAULT; }
  };
  return each(iova, length, Writing{source});
}

// With the lock held.
uint8_t* DmaMap::baseOf(uint64_t iova, uint64_t length) const {
  const auto found = at(iova);
  if (found == mappings_.end() || !usable(found->second)) return nullptr;
  const uint64_t within = iova - found->first;
  return length <= found->second.length - within ? found->second.base + within : nullptr;
}

DmaMap::View DmaMap::view(uint64_t iova, uint64_t length) const {
  const std::shared_lock lock(mutex_);
  uint8_t* base = baseOf(iova, length);
  return base == nullptr ? View{} : View{base, at(iova)->second.held};
}

bool DmaMap::covers(uint64_t iova, uint64_t length) const {
  if (length > 0 && length - 1 > UINT64_MAX - iova) return false;
  const std::shared_lock lock(mutex_);
  for (uint64_t done = 0; done < length;) {
    const auto found = at(iova + done);
    if (found == mappings_.end() || !usable(found->second)) return false;
    done += found->second.length - (iova + done - found->first);
  }
  return true;
}

int DmaMap::share(uint64_t iova, uint64_t length) const {
  const std::shared_lock lock(mutex_);
  const auto found = at(iova);
  if (baseOf(iova, length) == nullptr || found->first != iova || found->second.descriptor < 0) return -1;
  struct stat file;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const int descriptor = found->second.descriptor;
  if (fstat(descriptor, &file) != 0 || static_cast<uint64_t>(file.st_size) > (length + page - 1) / page * page)
    return -1;
  return fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
}

uint64_t DmaMap::mappings() const {
  const std::shared_lock lock(mutex_);
  return mappings_.size();
}

}  // namespace ismio::device
