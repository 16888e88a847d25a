// One client of a server, from its version to its end.
//
// Requests are carried out in the order in which they came. What needs no JavaScript is done by the server's thread, at
// once; what needs it waits in the lane, which the JavaScript thread takes errand by errand, and answers by itself.
//
//     socket -> done where it was read               accesses to memory, while nothing is before them
//            -> waiting -> done here                 while the lane is empty
//                       -> lane -> JavaScript        region accesses, also those to memory behind others
//
// A request that waits is answered within device::kAnswerWithin whatever happens: with ETIMEDOUT where it is one that
// JavaScript has to answer; else it is done then, before what it waited for.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "device/function.h"
#include "vfio-user/capabilities.h"
#include "vfio-user/channel.h"
#include "vfio-user/common.h"
#include "vfio-user/errand.h"
#include "vfio-user/far_memory.h"
#include "vfio-user/outbox.h"
#include "vfio-user/requests.h"

namespace ismio::vfio_user {

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Clock = Errand::Clock;

  // Owns the socket. `function` is taken by whoever makes it. JavaScript, told that the client has gone, gives it back;
  // where it was never told of the client, `end` does.
  Session(int socket, std::shared_ptr<device::Function> function, std::shared_ptr<Common> common, uint64_t maxDmaMaps);
  ~Session() { closeSocket(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // All of these on the server's thread. What to wait for on the socket, and how long at most.
  int socket() const { return socket_; }
  short events();
  std::optional<Clock::time_point> due();
  // Reads and carries out what came, sends what was kept, goes on with what waits, answers what is due. False: the
  // client has gone, or is to be let go of.
  bool serve(short events);
  // Everything that the client had is let go of. What it posted before is carried out.
  void end();

 private:
  // A client that does not read its replies is sent, and asked, no more than this beyond.
  static constexpr size_t kMostUnread = 1 << 20;

  struct Pending {
    Message message;
    Clock::time_point due;
    size_t weight() const;  // bytes that it holds, and descriptors as so many
  };

  bool receive();
  void performInPlace();
  bool performInPlace(const Seen& seen);
  void answerInPlace(const Header& to, int32_t error);
  void sendGathered();
  bool accept(Message& message);
  bool begin(Message& message);
  int32_t negotiate(const Message& message, Reply& reply);
  void take(Message& message);
  void advance();
  bool perform(Pending& pending, bool busy);
  bool performAccess(Pending& pending, bool busy);
  void performNow(Message& message);
  bool laneBusy();
  bool passing();
  void hand(Message& message, std::vector<Access> accesses, Clock::time_point due);
  void expire();
  void forget(const std::shared_ptr<Errand>& errand);
  void closeSocket();

  void askRelief();

  // On the JavaScript thread.
  void serveLane();
  void relieve();
  uint32_t waits_ = 0;  // that the thread was in when the first of the lane began
  void settle(const std::shared_ptr<Errand>& errand);

  // From both.
  void count(const Errand& errand);
  void answer(const Header& to, int32_t error, const Reply& reply);
  // False where its thread has ended.
  bool tellJavaScript(device::Handled kind, std::function<void()> told);

  int socket_;
  const std::string client_;  // the name of its end
  const std::shared_ptr<device::Function> function_;
  const std::shared_ptr<Common> common_;
  const std::shared_ptr<Outbox> outbox_;
  const uint64_t maxDmaMaps_;
  const Clock::time_point began_ = Clock::now();
  Requests requests_;
  Reader reader_;
  Reply reply_;                     // of what is performed in place
  std::vector<uint8_t> gathered_;   // short replies to such, which go together
  std::shared_ptr<FarMemory> far_;  // null until the version is agreed
  std::deque<Pending> waiting_;
  size_t waitingBytes_ = 0;  // their weight

  std::mutex mutex_;
  std::deque<std::shared_ptr<Errand>> lane_;
  std::deque<std::shared_ptr<Errand>> unanswered_;  // of those, the ones that want a reply
  size_t laneBytes_ = 0;
  bool wanted_ = false;     // the server's thread waits for the lane
  bool suspended_ = false;  // the first of the lane waits for a promise
  bool begun_ = false;      // its handler was called
  bool relieving_ = false;  // `relieve` is on the desk
  bool passing_ = false;    // what needs no JavaScript does not wait for it
  bool ended_ = false;
};

}  // namespace ismio::vfio_user
