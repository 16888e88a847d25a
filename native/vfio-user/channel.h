// Whole messages over a socket, with the descriptors that travel beside them.
//
// A stream socket gives any part of a message at a time, and descriptors with the first byte that they were sent with.
// What is not taken out of a Message is closed with it: nothing that a peer sends stays open by accident.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

#include "vfio-user/wire.h"

namespace ismio::vfio_user {

// File descriptors that are closed unless they are taken.
class Descriptors {
 public:
  Descriptors() = default;
  ~Descriptors() { clear(); }
  Descriptors(Descriptors&& other) noexcept : numbers_(std::move(other.numbers_)) { other.numbers_.clear(); }
  Descriptors& operator=(Descriptors&& other) noexcept;

  void add(int descriptor) { numbers_.push_back(descriptor); }
  size_t size() const { return numbers_.size(); }
  // Those that were not taken; they stay ours.
  const std::vector<int>& numbers() const { return numbers_; }
  // -1 where there is none; the caller's from now on.
  int take(size_t index);
  std::vector<int> takeAll();
  void clear();

 private:
  std::vector<int> numbers_;
};

struct Message {
  Header header{};
  std::vector<uint8_t> payload;
  Descriptors descriptors;
};

enum class Got : uint8_t {
  message,
  nothing,  // not a whole one yet
  end,      // the peer closed, or the socket failed
  broken,   // what no message can be: the stream cannot be followed any further
};

// A message where it was read.
struct Seen {
  Header header;
  std::span<const uint8_t> payload;
};

// The reading half, by one thread at a time.
class Reader {
 public:
  // Reads what there is, without waiting. Got::message: something came, a message or a part of one.
  Got more(int socket) { return fill(socket, MSG_DONTWAIT); }
  // The next message of what was read already, until the next call of anything but `pass`. None where it has
  // descriptors, or is not whole: `buffered` says which.
  std::optional<Seen> look();
  // It is taken.
  void pass(const Seen& seen);
  // Reads what there is, without waiting; one message a call.
  Got next(int socket, Message& message) { return next(socket, message, MSG_DONTWAIT); }
  // The same, and waits for it as long as the socket does (SO_RCVTIMEO).
  Got await(int socket, Message& message) { return next(socket, message, 0); }
  // The next message of what was read already.
  Got buffered(Message& message) { return whole(message); }

 private:
  Got next(int socket, Message& message, int flags);
  Got fill(int socket, int flags);
  Got whole(Message& message);
  Got complete(Header& header);

  // What came with a byte of the stream.
  struct Beside {
    uint64_t place;
    Descriptors descriptors;
  };

  std::vector<uint8_t> bytes_;
  size_t begin_ = 0;  // of what is not taken yet
  size_t end_ = 0;
  uint64_t taken_ = 0;  // bytes of the stream before `begin_`
  std::deque<Beside> beside_;
  size_t held_ = 0;  // descriptors in it
};

// Sends a message in one call, without waiting: header, then the parts of its payload, with descriptors beside them.
// Answers how many bytes went, or -errno; the rest is the caller's to send.
int64_t sendParts(int socket, const Header& header, std::span<const std::span<const uint8_t>> parts,
                  std::span<const int> descriptors);
// The same for a message, or what is left of one, that lies in one piece.
int64_t sendBytes(int socket, std::span<const uint8_t> bytes, std::span<const int> descriptors);
// What both are made of: one call of sendmsg, with these flags.
int64_t sendPieces(int socket, std::span<iovec> pieces, std::span<const int> descriptors, int flags);

}  // namespace ismio::vfio_user
