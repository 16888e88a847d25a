#include "exec/series.h"

#include <bit>
#include <cstring>

#include "plan/payload.h"

namespace ismio {
namespace {

constexpr bool kLittle = std::endian::native == std::endian::little;

// How many entries the series at this index has; 0 where there is none, or it is longer than what may be read. It is
// never in two pieces, at the ring's end and its beginning.
uint32_t seriesAt(const Ring& ring, uint32_t index, uint32_t to) {
  const wire::Entry& entry = ring.at(index);
  if (entry.kind() != wire::Opcode::series) return 0;
  const uint32_t toEnd = ring.depth - (index & (ring.depth - 1));
  return entry.count <= to - index && entry.count <= toEnd ? entry.count : 0;
}

const uint8_t* wordsOf(const wire::Entry& entry) {
  return reinterpret_cast<const uint8_t*>(&entry) + offsetof(wire::Entry, word);
}

// Where the first of the stores is legal and the last one as well, all between them are.
bool legalPlace(double offset, uint64_t size, uint64_t& place) {
  return whole(offset, place) && place % 8 == 0 && place < size && size - place >= 8;
}

}  // namespace

bool Series::begin(const Ring& ring, uint32_t index, uint32_t to, uint64_t size) {
  const uint32_t count = seriesAt(ring, index, to);
  if (count == 0) return false;
  const wire::Entry& entry = ring.at(index);
  uint64_t step = 0;
  uint64_t last = 0;
  const bool down = entry.step < 0;
  if (!whole(down ? -entry.step : entry.step, step) || step % 8 != 0) return false;
  if (!legalPlace(entry.offset, size, offset_)) return false;
  if (!legalPlace(entry.offset + (count - 1) * entry.step, size, last)) return false;
  first_ = index;
  count_ = count;
  step_ = down ? 0 - step : step;
  words_ = wordsOf(entry);
  highFirst_ = entry.highFirst();
  return true;
}

uint64_t Series::word(uint32_t index) const {
  uint64_t word;
  std::memcpy(&word, words_ + uint64_t{index - first_} * 8, 8);  // a value, handed on
  if constexpr (!kLittle) word = __builtin_bswap64(word);
  return highFirst_ == kLittle ? word << 32 | word >> 32 : word;
}

void Series::copyWords(uint8_t* target, uint32_t index, uint64_t count) const {
  if (kLittle && !highFirst_) return Payload::copyWords(target, words_ + uint64_t{index - first_} * 8, count);
  for (uint64_t i = 0; i < count; i++, target += 8) {
    const uint64_t bytes = word(index + static_cast<uint32_t>(i));
    Payload::copyWord(target, reinterpret_cast<const uint8_t*>(&bytes));
  }
}

// From the last one down: what is filled lies behind the words that are still to be read.
void unfold(const Ring& ring, uint32_t from, uint32_t to) {
  for (uint32_t index = from; index != to; index++) {
    const uint32_t count = seriesAt(ring, index, to);
    if (count == 0) continue;
    const wire::Entry series = ring.at(index);
    const uint8_t* words = wordsOf(ring.at(index));
    for (uint32_t behind = count; behind-- > 0;) {
      uint32_t halves[2];
      std::memcpy(halves, words + uint64_t{behind} * 8, 8);  // a value, handed on
      wire::Entry& store = ring.at(index + behind);
      store.offset = series.offset + behind * series.step;
      store.value = {halves[series.highFirst() ? 1 : 0], halves[series.highFirst() ? 0 : 1]};
      store.opcode = kStoreWord;
    }
    index += count - 1;
  }
}

}  // namespace ismio
