// A client's end of one socket to a vfio-user server.
//
//     send a message       any thread, one at a time (outlet.h)
//     wait for its reply   the thread reads the socket itself, and hands replies of others to them; one reads at a time
//     nobody waits         the watch: a thread of the connection reads, answers what the server asks (asked.h), and
//                          notices at once that the server has gone
//
// So a round trip wakes no thread but the one that asked. The watch leaves the socket to those who call: it looks again
// a millisecond behind the last of them, or stays where the server has asked for memory lately.
//
// A server that hangs up, does not answer in time or sends what it cannot have meant is lost, and stays so: every call
// then answers ENODEV.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <span>
#include <string>
#include <vector>

#include "access/access.h"
#include "device/desk.h"
#include "device/dma.h"
#include "vfio-user/channel.h"
#include "vfio-user/outlet.h"
#include "vfio-user/patience.h"
#include "vfio-user/waiter.h"

namespace ismio::vfio_user {

using Parts = std::span<const std::span<const uint8_t>>;

class Connection {
 public:
  // Shared with src/addon/wire.ts by value.
  enum class Lost : uint8_t {
    no = 0,
    closed = 1,  // by its owner
    hungUp = 2,  // the server closed the socket, or died
    silent = 3,  // a reply did not come in time
    broken = 4,  // the server sent what no message is, or a reply that nobody waits for
  };
  struct Options {
    std::chrono::milliseconds within{5000};  // for a reply
    std::shared_ptr<device::Desk> desk;      // of the thread that opens it
  };
  struct Problem {
    const char* call = "";
    int errorNumber = 0;
  };
  // Who had the other end when it was connected (SO_PEERCRED).
  struct Peer {
    int32_t process = 0;
    uint32_t user = 0;
  };
  using Told = std::function<void(Lost)>;

  // Connects; what is spoken then is the caller's. Whoever opened it closes it: its thread would keep it otherwise.
  static std::shared_ptr<Connection> open(const std::string& path, Options options, Problem& problem);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Nobody is told of a loss any more when it returns. Once, or again.
  void close();
  // Called once when it is lost, from whichever thread notices.
  void whenLost(Told told);

  // Sends a command and waits for its reply. 0; the errno of a reply with an error; EPROTO for one that is longer than
  // its place; ENODEV when the server is lost; or the errno of a message that could not be sent.
  int32_t call(Command command, Parts parts, std::span<const int> descriptors, Reply& reply);
  // Writes to a region in the order given, many on their way before the first is waited for; `done` counts those that
  // went through before one that failed. Those behind it may have been made all the same. Posted: none is waited for.
  int32_t write(uint32_t region, std::span<const Block> blocks, bool posted, uint64_t& done);

  // Whether a call by this thread serves its desk while it waits.
  bool serves() const { return patience_.serves() && patience_.asked(); }
  Lost lost() const { return lost_.load(std::memory_order_relaxed); }
  const Peer& peer() const { return peer_; }
  // The memory that the server may ask for.
  device::DmaMap& dma() { return dma_; }

 private:
  // Many more than servers take; the server's own limit is kept by whoever maps.
  static constexpr uint64_t kMostMappings = 1u << 20;

  Connection(int socket, Options options)
      : socket_(socket), within_(options.within), outlet_(socket), patience_(std::move(options.desk)) {}
  int start(const std::shared_ptr<Connection>& self);

  int32_t writeTogether(uint32_t region, std::span<const Block> blocks, bool posted, uint32_t& done);
  uint16_t number(uint16_t count);
  bool begin(Waiter& waiter);
  void await(Waiter& waiter);
  Clock::time_point limit(Clock::time_point began) const { return std::max(began, lastReply_) + within_; }
  int32_t sendFor(Waiter& waiter, std::span<iovec> pieces, std::span<const int> descriptors);

  void read(std::unique_lock<std::mutex>& lock, const Waiter* own, bool waits);
  bool dispatch(Message& message, const Waiter* own);
  bool replied(Message& message, const Waiter* own);
  void lose(Lost why);
  void watch();
  void stopWatching() const;

  const int socket_;
  const std::chrono::milliseconds within_;
  Peer peer_;
  std::string name_;  // of this end of the socket
  device::DmaMap dma_{kMostMappings};
  Outlet outlet_;
  Patience patience_;
  std::atomic<Lost> lost_{Lost::no};

  std::mutex mutex_;
  std::condition_variable read_;  // somebody has read
  std::vector<Waiter*> waiting_;
  uint16_t next_ = 0;
  bool reading_ = false;
  Clock::time_point lastReply_{};
  Reader reader_;  // of the one that reads
  Message message_;

  // The watch.
  std::optional<pthread_t> thread_;
  int wake_ = -1;
  std::condition_variable parked_;
  bool watching_ = false;        // it waits for the socket
  uint64_t calls_ = 0;           // ever
  std::atomic<uint64_t> asked_;  // by the server, ever

  std::mutex toldMutex_;
  Told told_;
};

}  // namespace ismio::vfio_user
