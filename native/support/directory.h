// Things that threads of this process find by number: one map, weak references, numbers that are never used twice.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace ismio {

template <class Thing>
class Directory {
 public:
  uint64_t add(const std::shared_ptr<Thing>& thing) {
    const std::lock_guard<std::mutex> lock(mutex_);
    things_.emplace(++last_, thing);
    return last_;
  }

  std::shared_ptr<Thing> find(uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = things_.find(id);
    return found == things_.end() ? nullptr : found->second.lock();
  }

  void remove(uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    things_.erase(id);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::weak_ptr<Thing>> things_;
  uint64_t last_ = 0;
};

}  // namespace ismio
