// The whole flow of a batch: reap the ring, merge, plan, call the backend, count, complete.
//
// One thread at a time runs an executor: the one that calls submit, or the queue's drain thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "exec/attribution.h"
#include "exec/entries.h"
#include "exec/issuer.h"
#include "exec/overlay.h"
#include "exec/rehearsal.h"
#include "exec/series.h"
#include "exec/sources.h"
#include "plan/merger.h"

namespace ismio {

// What became of a batch.
struct Report {
  Failure failure;          // status ok: every operation is done
  uint32_t operations = 0;  // in the batch
  uint32_t index = 0;       // of the operation that failed, counted from the start of the batch
  uint32_t unfinished = 0;  // every operation before this one is done; of those from here on the outcomes tell
  // A wire::Outcome for each operation from `unfinished` on. Null where all are done, or the system has no memory for
  // it.
  std::shared_ptr<Memory> outcomes;
  Totals moved;           // what this batch alone did
  uint64_t lastTick = 0;  // when it had been executed; 0 where stages are not timed
  double began = 0;       // CLOCK_MONOTONIC, nanoseconds; 0 where nobody observes batches
  double ended = 0;
};

class Executor {
 public:
  Executor(const std::shared_ptr<Region>& region, const Ring& ring, const Sources& sources, Merge merge, bool relaxed);
  bool ready() const { return merger_.ready() && (rehearsal_ == nullptr || rehearsal_->ready()); }

  // Runs the operations [from, to). `stop` ends it between two accesses. `copied` pieces of their payload are in the
  // staging memory.
  Report run(uint32_t from, uint32_t to, const Stop& stop, uint32_t copied = 0);
  // Runs none of them: each is skipped, and the report says why.
  Report skip(uint32_t from, uint32_t to, const Failure& why, uint32_t copied = 0);
  // Gives each operation of [from, to), which are not yet run, an entry of its own.
  void unfold(uint32_t from, uint32_t to) const { ismio::unfold(ring_, from, to); }

 private:
  bool rehearse(uint32_t from, uint32_t to);
  bool takeRun(uint32_t to);
  // words.cc has the ways of 8-byte stores.
  bool takeWords(uint32_t to);
  bool mayMerge(double offset, uint32_t following, uint32_t to) const;
  bool takeSeries(uint32_t to);
  bool takeOfSeries(uint32_t to);
  bool storeSeries(uint32_t to);
  uint32_t loneOf(uint32_t to) const;
  void gatherWords(uint32_t to);
  uint64_t copyWords(uint64_t start, uint64_t most);
  uint64_t copySeries(uint64_t start, uint64_t most);
  bool takeBlocks(uint32_t to);
  bool isBlock(const wire::Entry& entry, Block& block) const;
  uint32_t spanFrom(const Block& first, uint32_t to) const;
  bool take(uint32_t index);
  bool takeWrite(uint32_t index, uint64_t offset, const uint8_t* bytes, uint64_t length, bool scalar);
  bool takeLoad(uint32_t index, uint64_t offset, uint8_t* target, uint64_t length);
  void countCopyBack(uint32_t index, uint64_t loaded);
  void countCrossing(uint32_t copied);
  bool settle();
  bool issue(const Issue& what);
  bool refuse(Status status, uint32_t index);
  bool check(Status status, uint32_t first, uint32_t last);

  // Against Ring.reap in src/queue/ring.ts: whatever was read of the entries before `index` was read before they are
  // seen to be free.
  void publish(uint32_t index) {
    free_ = index;
    ring_.header->completed.store(index, std::memory_order_release);
  }
  void publishDone();

  const Attachment attachment_;
  const Ring ring_;
  const Sources& sources_;
  const Merge merge_;
  const bool reorders_;  // order 'relaxed' with merge 'any': writes between two fences are gathered, then sorted
  const std::unique_ptr<Rehearsal> rehearsal_;  // null where every write can be carried by some legal stores
  const bool longWay_;                          // what comes next may change how any write is cut
  Issuer issuer_;
  Merger merger_;
  Overlay overlay_;
  StageClock* clock_ = nullptr;  // of the batch; null while its stages are not timed
  uint32_t gathering_ = 0;       // the operation at which the writes in overlay_ begin
  uint32_t taken_ = 0;           // the next operation to take
  uint32_t free_ = 0;            // entries of the batch before this one may have been filled anew; none within a series
  Series series_;                // the last one that was begun
  Attribution failed_;           // what went wrong, if something has
};

}  // namespace ismio
