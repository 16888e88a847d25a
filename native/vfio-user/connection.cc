#include "vfio-user/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "vfio-user/asked.h"
#include "vfio-user/awaiting.h"

namespace ismio::vfio_user {
namespace {

// How long a thread that serves a desk leaves the socket to another that reads it.
constexpr std::chrono::microseconds kOtherReads{100};

}  // namespace

int32_t Connection::call(Command command, Parts parts, std::span<const int> descriptors, Reply& reply) {
  constexpr size_t kMostParts = 4;
  if (parts.size() > kMostParts || descriptors.size() > kMaxMessageFds) return EINVAL;
  size_t size = sizeof(Header);
  for (const auto& part : parts) size += part.size();
  if (size > kLongestMessage) return EMSGSIZE;
  Waiter waiter(command, reply);
  if (!begin(waiter)) return ENODEV;
  Header header{waiter.first(), command, static_cast<uint32_t>(size), 0, 0};
  iovec pieces[1 + kMostParts] = {{&header, sizeof header}};
  size_t count = 1;
  for (const auto& part : parts) pieces[count++] = {const_cast<uint8_t*>(part.data()), part.size()};
  const int32_t unsent = sendFor(waiter, std::span(pieces).first(count), descriptors);
  return unsent == 0 ? waiter.error() : unsent;
}

int32_t Connection::write(uint32_t region, std::span<const Block> blocks, bool posted, uint64_t& done) {
  for (done = 0; done < blocks.size();) {
    const auto together = blocks.subspan(done, std::min<size_t>(blocks.size() - done, Waiter::kMost));
    uint32_t part = 0;
    const int32_t error = writeTogether(region, together, posted, part);
    done += part;
    if (error != 0) return error;
  }
  return 0;
}

int32_t Connection::writeTogether(uint32_t region, std::span<const Block> blocks, bool posted, uint32_t& done) {
  // A store of a word lies behind its header, so that a run of them is one piece: a piece of its own each costs as much
  // as sending it.
  struct Begin {
    Header header;
    RegionAccess access;
    uint8_t word[8];
  };
  constexpr size_t kBegin = offsetof(Begin, word);
  Begin begins[Waiter::kMost];
  iovec pieces[2 * Waiter::kMost];
  size_t count = 0;
  Waiter waiter(region, blocks);
  if (posted) {
    if (lost() != Lost::no) return ENODEV;
    waiter.number(number(waiter.count()));
  } else if (!begin(waiter)) {
    return ENODEV;
  }
  bool joins = false;
  for (size_t i = 0; i < blocks.size(); i++) {
    const Block& block = blocks[i];
    Begin& own = begins[i];
    const auto size = static_cast<uint32_t>(kBegin + block.length);
    own.header = {static_cast<uint16_t>(waiter.first() + i), Command::regionWrite, size, posted ? kNoReply : 0, 0};
    own.access = {block.offset, region, block.length};
    const bool word = block.length <= sizeof own.word;
    if (word) memcpy(own.word, block.source, block.length);
    const size_t length = word ? size : kBegin;
    if (joins) {
      pieces[count - 1].iov_len += length;
    } else {
      pieces[count++] = {&own, length};
    }
    if (!word) pieces[count++] = {const_cast<uint8_t*>(block.source), block.length};
    joins = length == sizeof own;
  }
  const std::span<iovec> all = std::span(pieces).first(count);
  if (!posted) {
    const int32_t unsent = sendFor(waiter, all, {});
    done = unsent == 0 ? waiter.through() : 0;
    return unsent == 0 ? waiter.error() : unsent;
  }
  const Sent sent = outlet_.send(all, {}, within_, patience_);
  if (sent.error == 0) {
    done = waiter.count();
    return 0;
  }
  if (sent.error == EDEADLK) return EDEADLK;
  lose(sent.error == ETIMEDOUT ? Lost::silent : Lost::hungUp);
  return ENODEV;
}

// Ids that no message has that is on its way.
uint16_t Connection::number(uint16_t count) {
  const std::lock_guard lock(mutex_);
  return std::exchange(next_, static_cast<uint16_t>(next_ + count));
}

// False where the server is lost.
bool Connection::begin(Waiter& waiter) {
  bool watched = false;
  {
    const std::lock_guard lock(mutex_);
    if (lost() != Lost::no) return false;
    const auto taken = [&](const Waiter* other) { return other->meets(next_, waiter.count()); };
    while (std::ranges::any_of(waiting_, taken)) next_++;
    waiter.number(next_);
    next_ = static_cast<uint16_t>(next_ + waiter.count());
    waiting_.push_back(&waiter);
    calls_++;
    watched = std::exchange(watching_, false);
  }
  if (watched) stopWatching();
  return true;
}

// Sends, and waits for the replies. An errno where the messages did not go: then there are none.
int32_t Connection::sendFor(Waiter& waiter, std::span<iovec> pieces, std::span<const int> descriptors) {
  std::optional<Awaiting> awaiting;
  if (serves()) awaiting.emplace(name_, waiter.first(), waiter.count());
  const Sent sent = outlet_.send(pieces, descriptors, within_, patience_);
  const bool closed = sent.error == EPIPE || sent.error == ECONNRESET;
  // A server that closed the socket may have said why before: what there is is read, and then the end of it.
  if (sent.error == 0 || closed) {
    await(waiter);
    return 0;
  }
  if (sent.cut || sent.error == ETIMEDOUT) lose(sent.error == ETIMEDOUT ? Lost::silent : Lost::broken);
  const bool gone = lost() != Lost::no;
  const std::lock_guard lock(mutex_);
  std::erase(waiting_, &waiter);
  return gone ? ENODEV : sent.error;
}

void Connection::await(Waiter& waiter) {
  const Clock::time_point began = Clock::now();
  const bool serves = patience_.serves();
  std::unique_lock lock(mutex_);
  while (!waiter.done()) {
    const Clock::time_point until = limit(began);
    if (Clock::now() >= until) {
      lock.unlock();
      lose(Lost::silent);
      lock.lock();
    } else if (serves && patience_.asked()) {
      // What the desk has may call the server as well: so nothing is held meanwhile.
      lock.unlock();
      patience_.await(socket_, POLLIN, until, [&] { return waiter.done(); });
      lock.lock();
      if (!waiter.done() && !reading_) read(lock, &waiter, false);
    } else if (reading_) {
      read_.wait_until(lock, serves ? Clock::now() + kOtherReads : until);
    } else {
      read(lock, &waiter, true);
    }
  }
  std::erase(waiting_, &waiter);
}

// Reads what there is; with `waits`, what comes in the next milliseconds. The lock is given up meanwhile.
void Connection::read(std::unique_lock<std::mutex>& lock, const Waiter* own, bool waits) {
  reading_ = true;
  lock.unlock();
  Got got = waits ? reader_.await(socket_, message_) : reader_.next(socket_, message_);
  while (got == Got::message && dispatch(message_, own)) got = reader_.buffered(message_);
  message_.descriptors.clear();
  if (got == Got::message || got == Got::broken) lose(Lost::broken);
  if (got == Got::end) lose(Lost::hungUp);
  lock.lock();
  reading_ = false;
  if (waiting_.size() > (own == nullptr ? 0 : 1)) read_.notify_all();
}

// False for what no server sends.
bool Connection::dispatch(Message& message, const Waiter* own) {
  const uint32_t type = message.header.flags & kTypeMask;
  if (type == kReply) return replied(message, own);
  if (type != 0) return false;
  asked_.fetch_add(1, std::memory_order_relaxed);
  const Sent sent = answerAsked(message, dma_, outlet_, within_);
  if (sent.error != 0) lose(sent.error == ETIMEDOUT ? Lost::silent : Lost::hungUp);
  return true;
}

bool Connection::replied(Message& message, const Waiter* own) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(waiting_, [&](const Waiter* one) { return one->has(message.header.id); });
  if (found == waiting_.end() || !(*found)->take(message)) return false;
  lastReply_ = Clock::now();
  if (*found != own && (*found)->done()) patience_.poke();
  return true;
}

void Connection::lose(Lost why) {
  {
    const std::lock_guard lock(mutex_);
    if (lost() != Lost::no) return;
    lost_.store(why, std::memory_order_relaxed);
    for (Waiter* waiter : waiting_) waiter->lose();
    shutdown(socket_, SHUT_RDWR);
    read_.notify_all();
    parked_.notify_all();
  }
  outlet_.end();
  stopWatching();
  patience_.poke();
  const std::lock_guard lock(toldMutex_);
  if (const Told told = std::exchange(told_, nullptr)) told(why);
}

void Connection::whenLost(Told told) {
  const std::lock_guard lock(toldMutex_);
  if (const Lost why = lost(); why == Lost::no) {
    told_ = std::move(told);
  } else {
    told(why);
  }
}

void Connection::stopWatching() const { eventfd_write(wake_, 1); }

// What the watch does in its turn: it parks while others call, and takes up the socket when they have ended. Parked, it
// reads now and then what nobody reads: a caller may be sending still, to a server that waits for an answer itself.
void Connection::watch() {
  constexpr std::chrono::milliseconds kPark{1};
  uint64_t seenCalls = 0;
  uint64_t seenAsked = 0;
  std::unique_lock lock(mutex_);
  while (lost() == Lost::no) {
    const bool called = calls_ != std::exchange(seenCalls, calls_);
    const uint64_t asked = asked_.load(std::memory_order_relaxed);
    const bool stays = asked != std::exchange(seenAsked, asked);
    if (!waiting_.empty() || (called && !stays)) {
      parked_.wait_for(lock, kPark);
      if (!reading_ && lost() == Lost::no) read(lock, nullptr, false);
      continue;
    }
    watching_ = true;
    lock.unlock();
    pollfd waited[] = {{socket_, POLLIN, 0}, {wake_, POLLIN, 0}};
    ppoll(waited, 2, nullptr, nullptr);  // cut short by a signal handler: it looks, and waits again
    if (uint64_t count = 0; waited[1].revents != 0) eventfd_read(wake_, &count);
    lock.lock();
    watching_ = false;
    if (waiting_.empty() && !reading_ && lost() == Lost::no) read(lock, nullptr, false);
  }
}

}  // namespace ismio::vfio_user
