// Which operations of a batch the access that failed has taken down, and how far each of them came.
#pragma once

#include <cstdint>
#include <memory>

#include "access/status.h"
#include "exec/entries.h"
#include "memory/memory.h"

namespace ismio {

class Attribution {
 public:
  explicit Attribution(const Ring& ring) : ring_(ring) {}

  Failure failure;
  uint32_t first = 0;  // the operations with a share in the access that failed
  uint32_t last = 0;
  bool refused = false;  // the entry at fault could not be executed at all: what it says is not to be trusted
  bool unbegun = false;  // no operation of the batch was begun

  // The failure is told as that of the first operation, from `unfinished` on, that the access took down. Which one; how
  // much of it is done is in the failure then.
  uint32_t blame(uint32_t unfinished, uint32_t to);
  // A wire::Outcome for each of the operations [from, to). Null where the system has no memory for it.
  std::shared_ptr<Memory> outcomes(uint32_t from, uint32_t to) const;

 private:
  wire::Outcome outcomeOf(uint32_t index) const;
  wire::State stateOf(uint32_t index, const wire::Entry& entry, uint64_t& done) const;

  const Ring& ring_;
};

}  // namespace ismio
