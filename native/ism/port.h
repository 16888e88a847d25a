// An ISM function of a fabric: what its driver stores to BAR 0, and what arrives in its driver's memory.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "device/engine.h"
#include "device/function.h"
#include "ism/fabric.h"

namespace ismio::ism {

// An entry of the event queue, but for its time [Linux drivers/s390/net/ism.h, struct ism_event].
struct Event {
  uint32_t type = 0;
  uint32_t code = 0;
  uint64_t token = 0;
  uint64_t info = 0;
};

class Port final : public device::Engine {
 public:
  struct Counts {
    std::atomic<uint64_t> moves{0};  // that it made
    std::atomic<uint64_t> movedBytes{0};
    std::atomic<uint64_t> received{0};    // moves into its DMBs
    std::atomic<uint64_t> signals{0};     // of those, with a signal
    std::atomic<uint64_t> interrupts{0};  // raised: fewer, where one was raised already
    std::atomic<uint64_t> events{0};
    std::atomic<uint64_t> lanes{0};  // that it was lent
    std::array<std::atomic<uint64_t>, kRefusals> refused{};
  };

  // `reversed`: the driver sits behind QEMU 11.1 on a little-endian host, which hands over a store block as words of 8
  // bytes, one by one, each with its bytes in reverse (seen; docs/guests.md).
  Port(std::shared_ptr<Fabric> fabric, uint64_t gid, bool reversed)
      : gid(gid), fabric_(std::move(fabric)), reversed_(reversed) {}
  ~Port() override;

  const uint64_t gid;
  Counts counts;

  // Whether there was no other of its GID.
  bool join() { return joined_ = fabric_->join(gid, *this, number_); }
  // How many functions the fabric had been given before.
  uint32_t number() const { return number_; }
  void attach(const std::shared_ptr<device::Function>& function) override { function_ = function; }
  int32_t store(uint64_t offset, const uint8_t* source, uint32_t length, uint8_t& status) override;
  bool lends() const override { return fabric_->direct(); }
  int32_t lane(uint64_t token, device::Lane& made) override;

  // 0 or an errno: EBUSY where one is registered, EINVAL for an address that is no page's, or a length that is not the
  // queue's, EFAULT where the memory there is not mapped in this process, in one piece, for both directions.
  int32_t registerSba(uint64_t iova);
  int32_t registerQueue(uint64_t iova, uint64_t length);
  // Whether there was one.
  bool unregisterSba();
  bool unregisterQueue();
  // 0, with its token; EINVAL for a place or index that no DMB has; EEXIST for an index that is taken; EFAULT; ENOSPC.
  int32_t registerDmb(const Dmb& dmb, uint64_t& token);
  bool unregisterDmb(uint64_t token);
  uint32_t dmbs();
  // Into its event queue. False where there is none. `held` as of `receive`.
  bool tell(const Event& event, bool interrupt, std::shared_ptr<device::Function>& held);
  // Its driver has gone, and what that registered goes with it. The next one finds it alive.
  void clear();
  // It is dead until its driver has gone: it reaches nobody, and is reached by nobody.
  void die();
  bool dead() const { return dead_.load(); }
  // It is of the fabric no more: its GID is free, and nothing of it reaches or is reached.
  void leave();

  // A move of somebody else's into a DMB of its own. False where its memory is not there. `held` is let go of when
  // nothing is locked any more: it may be the last to hold the function, and that this port.
  bool receive(const Dmb& dmb, const Move& move, std::shared_ptr<device::Function>& held);
  // A DMB of its own for the one that may move into it. 0, or an errno: ENXIO where its memory or the signal bits are
  // no files of their own, EAGAIN where it has no interrupt now. `held` as above.
  int32_t lend(const Dmb& dmb, device::Lane& made, std::shared_ptr<device::Function>& held);
  // Signals into a DMB of its own, whose slot is locked: a bit for each colour.
  void raiseSignals(device::Function& function, uint32_t index, uint16_t colours);
  std::shared_ptr<device::Function> function() const { return function_.lock(); }

 private:
  template <class Mark>
  void raise(device::Function& function, uint32_t bit, Mark mark);
  void forget();
  // A move that meets the adversary: 0 and whether it is refused, or EBUSY.
  int32_t opposed(Adversary& adversary, uint64_t token, Move& move, Refusal& refusal);

  const std::shared_ptr<Fabric> fabric_;
  const bool reversed_;
  bool joined_ = false;
  uint32_t number_ = 0;
  std::atomic<uint64_t> attempts_{0};  // moves, where there is an adversary
  std::atomic<bool> dead_{false};
  std::weak_ptr<device::Function> function_;

  std::mutex mutex_;
  // Bus addresses: where they are mapped is looked for each time, since a driver may unmap what it has registered.
  std::optional<uint64_t> sba_;
  std::optional<uint64_t> queue_;
  uint32_t entry_ = 0;                    // of the queue, which is written next
  std::array<uint64_t, kDmbs> tokens_{};  // by index; 0: free
};

}  // namespace ismio::ism
