#include "vfio-user/session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "vfio-user/awaiting.h"

namespace ismio::vfio_user {
namespace {

constexpr uint16_t kMajor = 0;
constexpr uint16_t kMinor = 1;
// What waits for JavaScript, in bytes; then nothing more is read until half of it is done.
constexpr size_t kMostHeld = 64 << 20;
// What a request takes beside its payload, and a descriptor, of which a process has fewer than bytes.
constexpr size_t kOwnWeight = 512;
constexpr size_t kDescriptorWeight = 256 << 10;

}  // namespace

Session::Session(int socket, std::shared_ptr<device::Function> function, std::shared_ptr<Common> common,
                 uint64_t maxDmaMaps)
    : socket_(socket),
      client_(peerNameOf(socket)),
      function_(std::move(function)),
      common_(std::move(common)),
      outbox_(std::make_shared<Outbox>(socket, common_)),
      maxDmaMaps_(maxDmaMaps),
      requests_(function_, maxDmaMaps) {}

size_t Session::Pending::weight() const {
  return kOwnWeight + message.payload.size() + message.descriptors.size() * kDescriptorWeight;
}

void Session::closeSocket() {
  if (socket_ >= 0) close(std::exchange(socket_, -1));
}

short Session::events() {
  const size_t unread = outbox_->kept();
  size_t held = 0;
  {
    const std::lock_guard lock(mutex_);
    held = laneBytes_ + waitingBytes_;
    wanted_ = !waiting_.empty() || held >= kMostHeld;
  }
  const bool reads = held < kMostHeld && unread < kMostUnread;
  return static_cast<short>((reads ? POLLIN : 0) | (unread > 0 ? POLLOUT : 0));
}

std::optional<Session::Clock::time_point> Session::due() {
  if (far_ == nullptr) return began_ + device::kAnswerWithin;
  std::optional<Clock::time_point> first;
  if (!waiting_.empty()) first = waiting_.front().due;
  const std::lock_guard lock(mutex_);
  while (!unanswered_.empty() && unanswered_.front()->told) unanswered_.pop_front();
  if (!unanswered_.empty()) first = std::min(first.value_or(Clock::time_point::max()), unanswered_.front()->due);
  return first;
}

bool Session::serve(short events) {
  if ((events & POLLOUT) != 0 && !outbox_->flush()) return false;
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !receive()) return false;
  // It has closed: all that it sent is there, and is read now, so that whoever comes next does not find it here still.
  while ((events & POLLHUP) != 0) {
    if (!receive()) return false;
  }
  advance();
  expire();
  return !outbox_->ended() && (far_ != nullptr || Clock::now() < began_ + device::kAnswerWithin);
}

bool Session::receive() {
  Message message;
  Got got = reader_.more(socket_);
  while (got == Got::message) {
    performInPlace();
    got = reader_.buffered(message);
    if (got == Got::message && !accept(message)) return false;
  }
  return got == Got::nothing;
}

// False: the stream cannot be followed any further, or is not to be. A reply is never answered: what answers a reply
// would be taken for one itself.
bool Session::accept(Message& message) {
  common_->counts.requests.fetch_add(1, std::memory_order_relaxed);
  const uint32_t type = message.header.flags & kTypeMask;
  if (type == kReply) {
    if (far_ == nullptr || !far_->answer(message)) common_->counts.unexpected++;
    return true;
  }
  if (far_ == nullptr) return begin(message);
  if (type != 0) {
    answer(message.header, EINVAL, {});
  } else {
    take(message);
  }
  return true;
}

// The first message has to be the version.
bool Session::begin(Message& message) {
  Reply reply;
  const bool version = message.header.command == Command::version && (message.header.flags & kTypeMask) == 0;
  const int32_t refused = version ? negotiate(message, reply) : EINVAL;
  if (refused == 0) tellJavaScript(device::Handled::arrived, [] {});
  answer(message.header, refused, reply);
  return refused == 0;
}

int32_t Session::negotiate(const Message& message, Reply& reply) {
  Version version{};
  if (!structOf(message, version) || message.descriptors.size() > 0 || version.major != kMajor) return EINVAL;
  Capabilities client;
  std::string_view text(reinterpret_cast<const char*>(message.payload.data()) + sizeof version,
                        message.payload.size() - sizeof version);
  if (!text.empty()) {
    if (text.back() != '\0') return EINVAL;
    text.remove_suffix(1);
    if (!text.empty() && !readCapabilities(text, client)) return EINVAL;
  }
  version.minor = std::min(version.minor, kMinor);
  putStruct(reply, version);
  const std::string told = textOf({kMaxMessageFds, kMaxTransfer, maxDmaMaps_, true});
  reply.payload.insert(reply.payload.end(), told.begin(), told.end());
  far_ = std::make_shared<FarMemory>(outbox_, std::min<uint64_t>(client.maxTransfer, kMaxTransfer));
  requests_.negotiated(client, far_);
  return 0;
}

void Session::take(Message& message) {
  Pending pending{std::move(message), Clock::now() + device::kAnswerWithin};
  if (waiting_.empty() && outbox_->kept() < kMostUnread && perform(pending, laneBusy())) return;
  waitingBytes_ += pending.weight();
  waiting_.push_back(std::move(pending));
  askRelief();
}

void Session::advance() {
  while (!waiting_.empty() && outbox_->kept() < kMostUnread) {
    const size_t weight = waiting_.front().weight();
    if (!perform(waiting_.front(), laneBusy())) return;
    waitingBytes_ -= weight;
    waiting_.pop_front();
  }
}

// Whether there are errands before whatever comes now. The lane then says when there are none any more.
bool Session::laneBusy() {
  const std::lock_guard lock(mutex_);
  if (!lane_.empty()) wanted_ = true;
  return !lane_.empty();
}

bool Session::passing() {
  const std::lock_guard lock(mutex_);
  return passing_;
}

// False: it has to wait for the lane.
bool Session::perform(Pending& pending, bool busy) {
  switch (pending.message.header.command) {
    case Command::regionRead:
    case Command::regionWrite:
    case Command::regionWriteMulti: return performAccess(pending, busy);
    case Command::deviceReset:
      if (!pending.message.payload.empty() || pending.message.descriptors.size() > 0) {
        pending.message.descriptors.clear();
        answer(pending.message.header, EINVAL, {});
      } else {
        hand(pending.message, {}, pending.due);
      }
      return true;
    default:
      if (busy && !passing()) return false;
      performNow(pending.message);
      return true;
  }
}

bool Session::performAccess(Pending& pending, bool busy) {
  Message& message = pending.message;
  std::vector<Access> accesses;
  if (const int32_t refused = accessesOf(message, *function_, accesses); refused != 0) {
    message.descriptors.clear();
    answer(message.header, refused, {});
    return true;
  }
  const auto wholeHere = [&](const Access& access) {
    const Stretch stretch = stretchAt(*function_, access, 0);
    return stretch.length == access.count && (access.count == 0 || here(stretch, access));
  };
  if (busy || !std::ranges::all_of(accesses, wholeHere)) {
    hand(message, std::move(accesses), pending.due);
    return true;
  }
  Errand errand(function_, std::move(message), std::move(accesses), pending.due);
  errand.run(nullptr);  // it has nothing to ask of JavaScript
  count(errand);
  Reply reply;
  errand.reply(reply);
  answer(errand.header, errand.error(), reply);
  return true;
}

void Session::count(const Errand& errand) {
  std::atomic<uint64_t>& bytes = errand.reads() ? common_->counts.bytesRead : common_->counts.bytesWritten;
  bytes.fetch_add(errand.moved(), std::memory_order_relaxed);
}

// Descriptors that were of no use are closed before the client hears of it.
void Session::performNow(Message& message) {
  Reply reply;
  const int32_t error = message.header.command == Command::version ? EINVAL : requests_.answer(message, reply);
  message.descriptors.clear();
  answer(message.header, error, reply);
}

void Session::answer(const Header& to, int32_t error, const Reply& reply) {
  if ((to.flags & kNoReply) != 0) {
    if (error != 0) common_->refuse(error);
    return;
  }
  const std::span<const uint8_t> parts[] = {reply.payload};
  const bool failed = error != 0;
  const Header header = replyTo(to, error, sizeof(Header) + (failed ? 0 : reply.payload.size()));
  const std::span<const int> own(&reply.descriptor, reply.descriptor >= 0 ? 1 : 0);
  const std::span<const int> beside = reply.given.size() > 0 ? std::span<const int>(reply.given.numbers()) : own;
  // Where it does not go, the server's thread finds that nothing can be sent any more.
  outbox_->send(header, failed ? Parts{} : Parts{parts}, failed ? std::span<const int>{} : beside);
}

bool Session::tellJavaScript(device::Handled kind, std::function<void()> told) {
  auto request = std::make_shared<device::Request>();
  request->function = function_;
  request->kind = kind;
  return function_->desk->put([request, told = std::move(told)] {
    int32_t error = 0;
    request->function->desk->answer(request, error, nullptr);
    told();
  });
}

}  // namespace ismio::vfio_user
