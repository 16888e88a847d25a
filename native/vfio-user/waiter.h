// Messages that are on their way to the server, and what their replies are for. On the stack of the thread that waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "access/access.h"
#include "vfio-user/channel.h"

namespace ismio::vfio_user {

// Where the payload of a reply goes: into `head`, then into `body`. One that is longer goes nowhere.
struct Reply {
  std::span<uint8_t> head;
  std::span<uint8_t> body;
  size_t length = 0;  // of what came
  Descriptors descriptors;
};

class Waiter {
 public:
  // The writes of one waiter have a bit each in a word.
  static constexpr uint32_t kMost = 64;

  // Of one message.
  Waiter(Command command, Reply& reply) : command_(command), reply_(&reply) {}
  // Of a write to `region` for each of the blocks.
  Waiter(uint32_t region, std::span<const Block> blocks)
      : command_(Command::regionWrite),
        region_(region),
        blocks_(blocks),
        count_(static_cast<uint16_t>(blocks.size())),
        left_(count_) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  uint16_t first() const { return first_; }
  uint16_t count() const { return count_; }
  // The ids of its messages: `first` and those behind it, across the end of the numbers.
  void number(uint16_t first) { first_ = first; }
  bool has(uint16_t id) const { return static_cast<uint16_t>(id - first_) < count_; }
  bool meets(uint16_t first, uint16_t count) const {
    return has(first) || static_cast<uint16_t>(first_ - first) < count;
  }

  // A reply to one of them. False for one that no server sends: the second one, or of another command.
  bool take(Message& message);
  // No reply comes any more.
  void lose();

  bool done() const { return done_.load(std::memory_order_acquire); }
  // What the first of those that failed answered, or 0. Once done.
  int32_t error() const { return error_; }
  // How many in a row, from the first on, were answered with success.
  uint32_t through() const { return failed_; }

 private:
  static int32_t taken(Message& message, Reply& reply);
  int32_t written(const Message& message, uint32_t index) const;
  void fail(uint32_t index, int32_t error);

  const Command command_;
  Reply* const reply_ = nullptr;
  const uint32_t region_ = 0;
  const std::span<const Block> blocks_;
  const uint16_t count_ = 1;
  uint16_t left_ = 1;
  uint16_t first_ = 0;
  uint64_t answered_ = 0;  // a bit for each
  uint32_t failed_ = count_;
  int32_t error_ = 0;
  std::atomic<bool> done_{false};
};

}  // namespace ismio::vfio_user
