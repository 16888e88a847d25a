// What connects the ISM functions of one CHID: who they are, which buffers they offer each other, and the move.
//
//     Port (a function)                      Fabric                          Port (its peer)
//     store to BAR 0  ->  token, offset  ->  slot of the token  ->  DMA into the owner's buffer, SBA, interrupt
//
// A direct memory buffer (DMB) has one owner, and one function that may write to it [Linux include/linux/dibs.h]. A
// slot is locked while a move goes into its buffer: when `release` has returned, no move reaches it any more.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "device/engine.h"
#include "ism/adversary.h"
#include "ism/layout.h"

namespace ismio::ism {

class Port;

struct Dmb {
  uint64_t iova = 0;
  uint32_t length = 0;
  uint32_t index = 0;   // of its bit and mask in the owner's SBA
  uint64_t sender = 0;  // the GID that may move into it
};

// Why a move was refused: the status byte that comes with condition code 1. The values are ours: no public source has
// those of the hardware. Shared with src/addon/wire.ts by value.
enum class Refusal : uint8_t {
  none = 0,
  address = 1,  // no token of this fabric, or bits set that mean nothing
  unknown = 2,  // no DMB has this token (any more)
  sender = 3,   // another function was authorised
  bounds = 4,   // past the end of the DMB
  page = 5,     // across a page of 4096 bytes
  memory = 6,   // the owner's memory is not there: unmapped, read-only, or it is no bus master
  failed = 7,   // by the adversary
  dead = 8,     // the adversary has killed the sender
};
inline constexpr size_t kRefusals = 9;

struct Move {
  const uint8_t* source = nullptr;
  uint32_t length = 0;
  uint32_t offset = 0;
  uint32_t colour = 0;
  bool signal = false;
  uint64_t number = 0;  // of its sender's moves; counted where there is an adversary
};

class Fabric {
 public:
  // `direct`: a sender may have the memory of a DMB itself, and its owner's signals.
  explicit Fabric(bool direct = false);
  // Every move is the fabric's own.
  explicit Fabric(const Adversary::Plan& plan);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  // False where a function of this GID is there already; `number` says how many there were before.
  bool join(uint64_t gid, Port& port, uint32_t& number);
  void leave(uint64_t gid);

  // A token with its low half zero; 0 where none is free.
  uint64_t offer(Port& owner, const Dmb& dmb);
  // Whether the token was the owner's.
  bool release(const Port& owner, uint64_t token);
  // All of an owner's; how many.
  uint32_t releaseAll(const Port& owner);

  Refusal move(const Port& sender, uint64_t token, const Move& move);
  // 0, or an errno: ENOTTY where the fabric is not direct, ENOENT for no DMB's token, EACCES for another sender's, or
  // what the owner's port answers.
  int32_t lane(const Port& sender, uint64_t token, device::Lane& made);
  bool direct() const { return direct_; }

  // Null: there is none. It ends before the last who knows the fabric has gone: `end` is its owner's call.
  Adversary* adversary() const { return adversary_.get(); }
  void end();
  // The driver of this function has died, and the others are told.
  void kill(Port& victim);

 private:
  struct Slot {
    std::mutex mutex;
    Port* owner = nullptr;  // null: nobody's. It takes back its slots before it goes
    uint64_t life = 0;      // how often it was given out
    Dmb dmb;
  };
  Slot* slotOf(uint64_t token) const;
  Refusal moveOpposed(const Port& sender, uint32_t number, const Slot& slot, const Move& move,
                      std::shared_ptr<device::Function>& held);
  void raiseHeld(const Adversary::Signal& signal);

  const bool direct_;
  std::array<std::atomic<Slot*>, kTokens> slots_{};  // made when first used, kept to the end
  std::mutex mutex_;
  uint32_t next_ = 0;  // tokens come round: the one given back last is given out last
  std::map<uint64_t, Port*> ports_;
  uint32_t joined_ = 0;
  std::map<const Port*, std::vector<uint32_t>> offered_;
  std::unique_ptr<Adversary> adversary_;  // the first to go: its thread uses the rest
};

}  // namespace ismio::ism
