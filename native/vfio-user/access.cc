#include "vfio-user/access.h"

#include <cerrno>
#include <cstring>

namespace ismio::vfio_user {
namespace {

int32_t within(const device::Function& function, const Access& access) {
  uint64_t size = 0;
  if (access.region < device::kBars) size = function.bars[access.region].size;
  if (access.region == device::kConfigRegion) size = function.configSize;
  if (size == 0 || access.count > kMaxTransfer) return EINVAL;
  return access.offset <= size && access.count <= size - access.offset ? 0 : EINVAL;
}

int32_t manyOf(const Message& message, const device::Function& function, std::vector<Access>& accesses) {
  uint64_t count = 0;
  const std::vector<uint8_t>& payload = message.payload;
  if (payload.size() < sizeof count) return EINVAL;
  memcpy(&count, payload.data(), sizeof count);
  if (count != (payload.size() - sizeof count) / sizeof(MultiWrite)) return EINVAL;
  if ((payload.size() - sizeof count) % sizeof(MultiWrite) != 0) return EINVAL;
  for (size_t at = sizeof count; at < payload.size(); at += sizeof(MultiWrite)) {
    RegionAccess asked{};
    memcpy(&asked, payload.data() + at, sizeof asked);
    if (asked.count > sizeof(MultiWrite::bytes)) return EINVAL;
    accesses.push_back({asked.region, asked.offset, asked.count, payload.data() + at + sizeof asked});
    if (const int32_t refused = within(function, accesses.back()); refused != 0) return refused;
  }
  return 0;
}

template <class Int>
void moveOne(uint8_t* target, const uint8_t* source) {
  Int value;
  __atomic_load(reinterpret_cast<const Int*>(source), &value, __ATOMIC_RELAXED);
  __atomic_store(reinterpret_cast<Int*>(target), &value, __ATOMIC_RELAXED);
}

void moveWord(uint8_t* target, const uint8_t* source, uint64_t width) {
  if (width == 1) moveOne<uint8_t>(target, source);
  if (width == 2) moveOne<uint16_t>(target, source);
  if (width == 4) moveOne<uint32_t>(target, source);
  if (width == 8) moveOne<uint64_t>(target, source);
}

bool isWord(const uint8_t* memory, uint64_t length) {
  const bool width = length == 1 || length == 2 || length == 4 || length == 8;
  return width && reinterpret_cast<uintptr_t>(memory) % length == 0;
}

}  // namespace

int32_t accessesOf(const Message& message, const device::Function& function, std::vector<Access>& accesses) {
  if (message.descriptors.size() > 0) return EINVAL;
  if (message.header.command == Command::regionWriteMulti) return manyOf(message, function, accesses);
  return accessOf({message.header, message.payload}, function, accesses.emplace_back());
}

int32_t accessOf(const Seen& message, const device::Function& function, Access& access) {
  RegionAccess asked{};
  if (message.payload.size() < sizeof asked) return EINVAL;
  memcpy(&asked, message.payload.data(), sizeof asked);
  const bool write = message.header.command == Command::regionWrite;
  if (message.payload.size() - sizeof asked != (write ? asked.count : 0)) return EINVAL;
  access = {asked.region, asked.offset, asked.count, write ? message.payload.data() + sizeof asked : nullptr};
  return within(function, access);
}

Stretch stretchAt(const device::Function& function, const Access& access, uint32_t done) {
  return function.stretchAt(access.region, access.offset + done, access.count - done);
}

bool here(const Stretch& stretch, const Access& access) {
  return stretch.memory != nullptr || (stretch.engine != nullptr && access.source != nullptr);
}

int32_t decoding(const device::Function& function, const Access& access) {
  return access.region >= device::kBars || function.decodes.load() ? 0 : EIO;
}

void loadMemory(uint8_t* target, const uint8_t* memory, uint64_t length) {
  if (!isWord(memory, length)) {
    memcpy(target, memory, length);
    return;
  }
  alignas(8) uint8_t word[8];
  moveWord(word, memory, length);
  memcpy(target, word, length);
}

void storeMemory(uint8_t* memory, const uint8_t* source, uint64_t length) {
  if (!isWord(memory, length)) {
    memcpy(memory, source, length);
    return;
  }
  alignas(8) uint8_t word[8];
  memcpy(word, source, length);
  moveWord(memory, word, length);
}

}  // namespace ismio::vfio_user
