#include "exec/rehearsal.h"

namespace ismio {

std::optional<uint32_t> Rehearsal::stumbles(const Ring& ring, const Sources& sources, uint32_t from, uint32_t to) {
  gathering_ = from;
  bool ok = true;
  uint32_t index = from;
  for (; ok && index != to; index++) ok = take(ring, sources, index);
  ok = ok && settle(to);
  merger_.discard();
  overlay_.discard();
  return ok ? std::nullopt : std::optional<uint32_t>(culprit(ring));
}

bool Rehearsal::take(const Ring& ring, const Sources& sources, uint32_t index) {
  const wire::Entry& entry = ring.at(index);
  const uint64_t length = lengthOf(entry);
  uint64_t offset = 0;
  if (entry.kind() == wire::Opcode::fence) return settle(index);
  if (length == 0 || !whole(entry.offset, offset)) return true;
  if (entry.kind() == wire::Opcode::store) {
    return takeWrite(offset, reinterpret_cast<const uint8_t*>(&entry.value), length, true, index);
  }
  uint8_t* bytes = bytesOf(sources, entry, length);
  if (bytes == nullptr) return true;
  if (entry.kind() == wire::Opcode::write) return takeWrite(offset, bytes, length, false, index);
  const bool waits = !reorders_ || overlay_.meets(offset, bytes, length);
  return !waits || settle(index);
}

bool Rehearsal::takeWrite(uint64_t offset, const uint8_t* bytes, uint64_t length, bool scalar, uint32_t index) {
  if (merge_ == Merge::none) {
    refused_ = {{offset, 0, true}, bytes, index, index};
    return possible(rules_, offset, length);
  }
  if (reorders_) {
    overlay_.add(offset, length, bytes, scalar);
    return true;
  }
  return merger_.add(offset, bytes, length, scalar, index, [this](const Issue& what) { return legal(what); });
}

bool Rehearsal::settle(uint32_t next) {
  const auto sink = [this](const Issue& what) { return legal(what); };
  if (!overlay_.empty()) {
    for (const Fragment& fragment : overlay_.resolve()) {
      const bool ok = merger_.add(fragment.offset, fragment.bytes, fragment.length, fragment.scalar, next - 1, sink);
      if (!ok) return false;
    }
  }
  if (!merger_.flush(sink)) return false;
  gathering_ = next;
  return true;
}

bool Rehearsal::legal(const Issue& what) {
  refused_ = what;
  return broken(rules_, what.piece.offset, what.piece.length) == Rule::none;
}

// A piece that begins where no block may, or is one word, is told as its first byte's operation, else it ends where no
// block may: that is its last byte's. Of several that lay there, the last one stands.
uint32_t Rehearsal::culprit(const Ring& ring) const {
  const auto [offset, length, block] = refused_.piece;
  const uint64_t place = offset % 8 != 0 || length <= 8 ? offset : offset + length - 1;
  const uint32_t first = reorders_ ? gathering_ : refused_.firstOperation;
  for (uint32_t index = refused_.lastOperation; index != first; index--) {
    const wire::Entry& entry = ring.at(index);
    uint64_t from = 0;
    if (isWrite(entry) && whole(entry.offset, from) && place - from < lengthOf(entry)) return index;
  }
  return first;
}

}  // namespace ismio
