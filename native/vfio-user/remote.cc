#include "vfio-user/remote.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ismio::vfio_user {
namespace {

// What one call of sendmsg carries.
constexpr uint32_t kStoresTogether = Waiter::kMost;
static_assert(kStoresTogether <= kMostBlocksTogether);
// A read of a page is one message. Loads of registers may have effects, and where one of many fails the server does not
// say which: there each is a message of its own.
constexpr uint64_t kLoadsTogether = 512;
uint64_t loadsAtOnce(const Rules& rules) { return rules.mergeable ? kLoadsTogether : 1; }

// A part of a run of stores, as blocks.
using Blocks = std::array<Block, kStoresTogether>;

}  // namespace

Remote::Remote(std::shared_ptr<Connection> connection, uint32_t region, const Rules& rules, bool posted)
    : Backend(kStoresTogether, loadsAtOnce(rules), 1, kStoresTogether),
      connection_(std::move(connection)),
      region_(region),
      rules_(rules),
      posted_(posted) {}

Status Remote::refused(int32_t error, Failure& failure) const {
  failure.errorNumber = error;
  if (error == EIO) return Status::deviceError;
  if (error == EBUSY) {
    failure.conditionCode = 2;
    return Status::busy;
  }
  if (error == EDEADLK) return Status::deadlock;
  if (error != ENODEV) return Status::systemError;
  failure.loss = Loss::device;
  return Status::regionLost;
}

// One read. A server that has less answers with less, as the kernel does.
int32_t Remote::get(uint64_t offset, uint8_t* target, uint64_t length, uint64_t& done) {
  const RegionAccess wanted{offset, region_, static_cast<uint32_t>(length)};
  RegionAccess told{};
  Reply reply{{reinterpret_cast<uint8_t*>(&told), sizeof told}, {target, length}, 0, {}};
  const std::span<const uint8_t> parts[] = {{reinterpret_cast<const uint8_t*>(&wanted), sizeof wanted}};
  done = 0;
  const int32_t error = connection_->call(Command::regionRead, parts, {}, reply);
  if (error != 0) return error;
  const bool fits = reply.length >= sizeof told && reply.length - sizeof told == told.count;
  if (!fits || told.region != region_ || told.offset != offset) return EPROTO;
  done = told.count;
  return done == length ? 0 : EIO;
}

// A word has a place of its own until it has arrived: the caller's is that of every access of its thread, and a handler
// that is served meanwhile makes some.
Status Remote::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  uint8_t word[8];
  uint64_t done = 0;
  const int32_t error = get(offset, word, width, done);
  if (error != 0) return refused(error, failure);
  memcpy(target, word, width);
  return Status::ok;
}

Status Remote::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  uint64_t bytes = 0;
  const int32_t error = get(offset, target, words * 8, bytes);
  done = bytes / 8;
  if (error == 0) return Status::ok;
  if (bytes == 0 && words > 1) failure.unknownLoads = words;
  return refused(error, failure);
}

Status Remote::put(std::span<const Block> blocks, uint64_t& done, Failure& failure) {
  const int32_t error = connection_->write(region_, blocks, posted_, done);
  return error == 0 ? Status::ok : refused(error, failure);
}

Status Remote::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  uint8_t word[8];
  memcpy(word, source, width);
  const Block block{offset, word, width};
  uint64_t done = 0;
  return put({&block, 1}, done, failure);
}

Status Remote::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Block block{offset, source, length};
  uint64_t done = 0;
  return storeBlocks(&block, 1, done, failure);
}

Status Remote::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  Blocks blocks;
  Status status = Status::ok;
  for (done = 0; done < count && status == Status::ok;) {
    const uint64_t together = std::min<uint64_t>(count - done, kStoresTogether);
    for (uint64_t i = 0; i < together; i++) {
      const Word& word = words[done + i];
      blocks[i] = {word.offset, reinterpret_cast<const uint8_t*>(&word.bytes), sizeof word.bytes};
    }
    uint64_t part = 0;
    status = put(std::span(blocks).first(together), part, failure);
    done += part;
  }
  return status;
}

// Those before the first that breaks a rule are stored.
Status Remote::storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
  const std::span<const Block> all(blocks, count);
  const auto illegal = std::ranges::find_if(
      all, [&](const Block& block) { return broken(rules_, block.offset, block.length) != Rule::none; });
  const Status status = put(all.first(static_cast<size_t>(illegal - all.begin())), done, failure);
  if (status != Status::ok || illegal == all.end()) return status;
  failure.rule = broken(rules_, illegal->offset, illegal->length);
  failure.errorNumber = errorNumberOf(failure.rule);
  return Status::ruleBroken;
}

Status Remote::storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) {
  Blocks blocks;
  Status status = Status::ok;
  for (done = 0; done < count && status == Status::ok;) {
    const uint64_t together = std::min<uint64_t>(count - done, kStoresTogether);
    for (uint64_t i = 0; i < together; i++) {
      const uint64_t at = (done + i) * first.length;
      blocks[i] = {first.offset + at, first.source + at, first.length};
    }
    uint64_t part = 0;
    status = storeBlocks(blocks.data(), together, part, failure);
    done += part;
  }
  return status;
}

// Messages arrive in the order in which they went.
void Remote::fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace ismio::vfio_user
