// A batch for a function that takes strict store blocks alone, gone through before anything of it is issued.
//
// What a word comes to there shows only when it is joined with its neighbours: two words are a block, one is nothing.
// So the batch is merged and planned as it will be, and where a piece is no legal block, nothing of the batch is
// issued. Accesses to such a function are system calls; to plan them twice does not show.
#pragma once

#include <cstdint>
#include <optional>

#include "exec/entries.h"
#include "exec/overlay.h"
#include "plan/merger.h"

namespace ismio {

class Rehearsal {
 public:
  Rehearsal(const Rules& rules, Merge merge, bool reorders)
      : rules_(rules), merge_(merge), reorders_(reorders), merger_(rules, merge) {}
  bool ready() const { return merger_.ready(); }

  // The first operation of [from, to) that no legal block can carry, as it would be merged. An entry that cannot be
  // executed at all ends the search: the batch comes to it, and says so.
  std::optional<uint32_t> stumbles(const Ring& ring, const Sources& sources, uint32_t from, uint32_t to);

 private:
  bool take(const Ring& ring, const Sources& sources, uint32_t index);
  bool takeWrite(uint64_t offset, const uint8_t* bytes, uint64_t length, bool scalar, uint32_t index);
  bool settle(uint32_t next);
  bool legal(const Issue& what);
  uint32_t culprit(const Ring& ring) const;

  const Rules rules_;
  const Merge merge_;
  const bool reorders_;
  Merger merger_;
  Overlay overlay_;
  Issue refused_{};  // the piece that is no legal block
  uint32_t gathering_ = 0;
};

}  // namespace ismio
