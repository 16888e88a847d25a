// Memory of a client that came without a descriptor: read and written by messages to the client.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "device/dma.h"
#include "vfio-user/channel.h"
#include "vfio-user/outbox.h"

namespace ismio::vfio_user {

class FarMemory final : public device::Far {
 public:
  // `most`: bytes that one message may ask for.
  FarMemory(std::shared_ptr<Outbox> outbox, uint64_t most) : outbox_(std::move(outbox)), most_(most) {}

  // From any thread but the one that calls `answer`, which they wait for. 0; ETIMEDOUT where the client does not
  // answer, ENODEV where it has gone, EPROTO for a reply that is none to this, or the client's own errno.
  int32_t read(uint64_t address, uint8_t* target, uint64_t length) override;
  int32_t write(uint64_t address, const uint8_t* source, uint64_t length) override;

  // A reply that came. False where nobody waits for it (any more).
  bool answer(const Message& reply);
  // The client has gone: whoever waits is told.
  void end();

 private:
  using Until = std::chrono::steady_clock::time_point;
  struct Call {
    Command command;
    DmaAccess access;
    uint8_t* target;  // null: a write
    bool answered = false;
    int32_t error = 0;
  };

  int32_t ask(Call& call, const uint8_t* source, Until until);
  static int32_t settle(Call& call, const Message& reply);

  const std::shared_ptr<Outbox> outbox_;
  const uint64_t most_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::unordered_map<uint16_t, Call*> calls_;
  uint16_t lastId_ = 0;
  bool ended_ = false;
};

}  // namespace ismio::vfio_user
