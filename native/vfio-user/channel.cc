#include "vfio-user/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace ismio::vfio_user {
namespace {

// What one call reads at most: most messages are shorter than a page.
constexpr size_t kReadTogether = 64 << 10;
// A peer that sends more descriptors with one message than this is told as broken: what does not fit into one call the
// kernel closes (MSG_CTRUNC), and a message that comes in pieces could bring as many as the process may have.
constexpr size_t kDescriptorRoom = 64;
constexpr size_t kMostParts = 8;

}  // namespace

Descriptors& Descriptors::operator=(Descriptors&& other) noexcept {
  clear();
  numbers_.swap(other.numbers_);
  return *this;
}

int Descriptors::take(size_t index) { return index < numbers_.size() ? std::exchange(numbers_[index], -1) : -1; }

std::vector<int> Descriptors::takeAll() { return std::exchange(numbers_, {}); }

void Descriptors::clear() {
  for (const int number : numbers_) {
    if (number >= 0) close(number);
  }
  numbers_.clear();
}

Got Reader::next(int socket, Message& message, int flags) {
  if (const Got got = whole(message); got != Got::nothing) return got;
  if (const Got got = fill(socket, flags); got != Got::message) return got;
  return whole(message);
}

// Got::message: something came.
Got Reader::fill(int socket, int flags) {
  if (begin_ > 0) {
    std::copy(bytes_.begin() + static_cast<ptrdiff_t>(begin_), bytes_.begin() + static_cast<ptrdiff_t>(end_),
              bytes_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (bytes_.size() - end_ < kReadTogether) bytes_.resize(end_ + kReadTogether);
  iovec part{bytes_.data() + end_, bytes_.size() - end_};
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * kDescriptorRoom)];
  msghdr call{};
  call.msg_iov = &part;
  call.msg_iovlen = 1;
  call.msg_control = control;
  call.msg_controllen = sizeof control;
  ssize_t got = 0;
  do got = recvmsg(socket, &call, flags | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Got::nothing : Got::end;
  Descriptors descriptors;
  for (cmsghdr* one = CMSG_FIRSTHDR(&call); one != nullptr; one = CMSG_NXTHDR(&call, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int descriptor = -1;
      memcpy(&descriptor, CMSG_DATA(one) + i * sizeof descriptor, sizeof descriptor);
      descriptors.add(descriptor);
    }
  }
  if ((call.msg_flags & MSG_CTRUNC) != 0) return Got::broken;
  if (got == 0) return Got::end;
  end_ += static_cast<size_t>(got);
  // A call of recvmsg takes what lies before the bytes that descriptors came with, and ends with those bytes
  // [Linux net/unix/af_unix.c, unix_stream_read_generic]: so the last byte is of their message.
  held_ += descriptors.size();
  if (descriptors.size() > 0) beside_.push_back({taken_ + (end_ - begin_) - 1, std::move(descriptors)});
  return held_ > kDescriptorRoom ? Got::broken : Got::message;
}

// Got::message: all of it is there.
Got Reader::complete(Header& header) {
  const size_t there = end_ - begin_;
  if (there < sizeof header) return Got::nothing;
  memcpy(&header, bytes_.data() + begin_, sizeof header);
  if (header.size < sizeof(Header) || header.size > kLongestMessage) return Got::broken;
  if (there < header.size) {
    if (bytes_.size() - begin_ < header.size) bytes_.resize(begin_ + header.size + kReadTogether);
    return Got::nothing;
  }
  return Got::message;
}

std::optional<Seen> Reader::look() {
  Header header{};
  if (complete(header) != Got::message) return std::nullopt;
  if (!beside_.empty() && beside_.front().place < taken_ + header.size) return std::nullopt;
  return Seen{header, std::span(bytes_).subspan(begin_, header.size).subspan(sizeof header)};
}

void Reader::pass(const Seen& seen) {
  begin_ += seen.header.size;
  taken_ += seen.header.size;
}

Got Reader::whole(Message& message) {
  Header header{};
  if (const Got got = complete(header); got != Got::message) return got;
  message.header = header;
  const auto first = bytes_.begin() + static_cast<ptrdiff_t>(begin_ + sizeof header);
  message.payload.assign(first, bytes_.begin() + static_cast<ptrdiff_t>(begin_ + header.size));
  message.descriptors.clear();
  begin_ += header.size;
  taken_ += header.size;
  while (!beside_.empty() && beside_.front().place < taken_) {
    held_ -= beside_.front().descriptors.size();
    for (const int descriptor : beside_.front().descriptors.takeAll()) message.descriptors.add(descriptor);
    beside_.pop_front();
  }
  return Got::message;
}

int64_t sendPieces(int socket, std::span<iovec> pieces, std::span<const int> descriptors, int flags) {
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * kMaxMessageFds)] = {};
  msghdr call{};
  call.msg_iov = pieces.data();
  call.msg_iovlen = pieces.size();
  if (!descriptors.empty()) {
    const size_t bytes = std::min<size_t>(descriptors.size(), kMaxMessageFds) * sizeof(int);
    call.msg_control = control;
    call.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* one = CMSG_FIRSTHDR(&call);
    one->cmsg_level = SOL_SOCKET;
    one->cmsg_type = SCM_RIGHTS;
    one->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(one), descriptors.data(), bytes);
  }
  ssize_t sent = 0;
  do sent = sendmsg(socket, &call, flags | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -static_cast<int64_t>(errno) : sent;
}

int64_t sendParts(int socket, const Header& header, std::span<const std::span<const uint8_t>> parts,
                  std::span<const int> descriptors) {
  iovec pieces[kMostParts + 1] = {{const_cast<Header*>(&header), sizeof header}};
  size_t count = 1;
  for (const std::span<const uint8_t>& part : parts.first(std::min(parts.size(), kMostParts))) {
    if (!part.empty()) pieces[count++] = {const_cast<uint8_t*>(part.data()), part.size()};
  }
  return sendPieces(socket, std::span(pieces).first(count), descriptors, MSG_DONTWAIT);
}

int64_t sendBytes(int socket, std::span<const uint8_t> bytes, std::span<const int> descriptors) {
  iovec piece{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  return sendPieces(socket, std::span(&piece, 1), descriptors, MSG_DONTWAIT);
}

}  // namespace ismio::vfio_user
