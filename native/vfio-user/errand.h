// A request that JavaScript answers, in as many calls as it takes: a long read is a load for each 8, 4, 2 or 1 bytes,
// as vfio-pci cuts one [Linux drivers/vfio/pci/vfio_pci_rdwr.c].
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "device/function.h"
#include "vfio-user/access.h"
#include "vfio-user/requests.h"

namespace ismio::vfio_user {

class Errand : public std::enable_shared_from_this<Errand> {
 public:
  using Clock = std::chrono::steady_clock;

  // `accesses` point into the message; a reset has none.
  Errand(std::shared_ptr<device::Function> function, Message message, std::vector<Access> accesses,
         Clock::time_point due)
      : header(message.header),
        due(due),
        weight(message.payload.size() + kOwnWeight),
        wanted((message.header.flags & kNoReply) == 0),
        function_(std::move(function)),
        message_(std::move(message)),
        accesses_(std::move(accesses)) {}

  const Header header;
  const Clock::time_point due;
  const size_t weight;  // bytes that it holds
  const bool wanted;    // by a reply
  // The reply went, or nobody is left to get it: nothing of it is done any more.
  std::atomic<bool> told{false};

  // On the JavaScript thread. True: done. False: a handler gave a promise, and `resume` is called when all is done.
  // Empty where the thread waits for this very errand: then a promise is refused with EDEADLK.
  bool run(const std::function<void()>& resume);

  // When done: the first error, or 0; and the payload of the reply.
  int32_t error() const { return error_; }
  // Bytes that were read or written.
  uint64_t moved() const { return moved_; }
  // For the device, where it refused what nobody waits to be told of: else null.
  std::shared_ptr<device::Request> refusal() const;
  bool reads() const { return header.command == Command::regionRead; }
  void reply(Reply& reply) const;

 private:
  // About what an errand and its places in queues take.
  static constexpr size_t kOwnWeight = 512;

  std::shared_ptr<device::Request> next();
  std::shared_ptr<device::Request> nextOf(const Access& access);
  std::shared_ptr<device::Request> request(const Access& access, device::Handled kind, uint32_t length) const;
  bool madeHere(const Access& access);
  void took(const device::Request& request, int32_t error);
  void refuse(int32_t error);
  void fail(int32_t error);

  const std::shared_ptr<device::Function> function_;
  const Message message_;
  const std::vector<Access> accesses_;
  bool reset_ = false;  // was asked for
  size_t access_ = 0;   // which of them
  uint32_t done_ = 0;   // bytes of it
  int32_t error_ = 0;
  std::shared_ptr<device::Request> refusal_;  // the first
  uint64_t moved_ = 0;
  std::vector<uint8_t> read_;
};

}  // namespace ismio::vfio_user
