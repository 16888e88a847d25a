// The floors that have two processes: what C does with the same messages, or with a bare eventfd.
//
//     answerer    32 bytes come, 40 go back: an 8-byte read of vfio-user
//     taker       messages with 4 KiB come, and are copied to their place in memory; to a read it answers
//     ringer      looks at a word in shared memory, and writes to an eventfd when that changes
//
// The other process is a fork of this one, which does nothing but system calls and copies: other threads are not in it.
#include "processes.h"

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>

namespace ismio::bench {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kTogether = 64;
constexpr size_t kRead = 64 << 10;

// A message of vfio-user up to its bytes (native/vfio-user/wire.h).
struct Begin {
  uint16_t id;
  uint16_t command;
  uint32_t size;
  uint32_t flags;
  uint32_t error;
  uint64_t offset;
  uint32_t region;
  uint32_t count;
};
static_assert(sizeof(Begin) == 32);

constexpr uint16_t kReads = 9;
constexpr uint16_t kWrites = 10;

struct Answer {
  Begin begin;
  uint64_t word;
};

using Word = std::atomic<uint32_t>;

struct Peer {
  pid_t process = -1;
  int socket = -1;
  int eventfd = -1;
  Word* rung = nullptr;
  uv_poll_t* poll = nullptr;
  Napi::FunctionReference heard;
};

Peer peer;

// A floor that fails measures nothing.
void need(bool succeeded) {
  if (!succeeded) std::abort();
}

void sendAll(int socket, const void* bytes, size_t length) {
  need(send(socket, bytes, length, MSG_NOSIGNAL) == static_cast<ssize_t>(length));
}

// False: the other end has hung up.
bool receiveAll(int socket, void* bytes, size_t length) {
  return recv(socket, bytes, length, MSG_WAITALL) == static_cast<ssize_t>(length);
}

// What the other process does.

void answerLoads(int socket, int, const Word*) {
  Answer answer{};
  while (receiveAll(socket, &answer.begin, sizeof answer.begin)) {
    answer.begin.size = sizeof answer;
    if (send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) return;
  }
}

alignas(4096) uint8_t places[kTogether * kBlock];
uint8_t received[kRead];

void takeBlocks(int socket, int, const Word*) {
  size_t there = 0;
  while (true) {
    const ssize_t got = recv(socket, received + there, kRead - there, 0);
    if (got <= 0) return;
    there += static_cast<size_t>(got);
    size_t at = 0;
    Begin begin{};
    while (there - at >= sizeof begin) {
      memcpy(&begin, received + at, sizeof begin);
      if (there - at < begin.size) break;
      if (begin.command == kReads) {
        const Answer answer{begin, 0};
        if (send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) return;
      } else {
        memcpy(places + begin.offset, received + at + sizeof begin, begin.count);
      }
      at += begin.size;
    }
    memmove(received, received + at, there - at);
    there -= at;
  }
}

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// As the device's process does: 2 ms behind the last ring it looks once a millisecond.
void ringBack(int, int eventfd, const Word* rung) {
  constexpr int64_t kAttention = 2'000'000;
  uint32_t heard = 0;
  int64_t until = now() + kAttention;
  while (true) {
    for (int look = 0; look < 1000; look++) {
      const uint32_t last = rung->load(std::memory_order_relaxed);
      if (last == heard) continue;
      heard = last;
      eventfd_write(eventfd, 1);
      until = now() + kAttention;
    }
    if (now() > until) usleep(1000);
  }
}

using Life = void (*)(int socket, int eventfd, const Word* rung);

// It has nothing of this process but the two descriptors, and ends with it.
[[noreturn]] void live(Life life, int socket, int eventfd, const Word* rung) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(socket, 0);
  dup2(eventfd, 1);
  syscall(SYS_close_range, 2u, ~0u, 0u);
  life(0, 1, rung);
  _exit(0);
}

template <Life life>
void start(const Napi::CallbackInfo&) {
  int pair[2];
  need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  // As the client's socket has it (native/vfio-user/connect.cc).
  constexpr int kSendBuffer = 1 << 20;
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  peer.eventfd = eventfd(0, EFD_CLOEXEC);
  void* shared = mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(peer.eventfd >= 0 && shared != MAP_FAILED);
  peer.rung = new (shared) Word(0);
  peer.socket = pair[0];
  peer.process = fork();
  need(peer.process >= 0);
  if (peer.process == 0) live(life, pair[1], peer.eventfd, peer.rung);
  close(pair[1]);
}

void hangUp(const Napi::CallbackInfo&) {
  kill(peer.process, SIGKILL);
  need(waitpid(peer.process, nullptr, 0) == peer.process);
  if (peer.poll != nullptr) {
    uv_close(reinterpret_cast<uv_handle_t*>(peer.poll),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  }
  close(peer.socket);
  close(peer.eventfd);
  munmap(peer.rung, kBlock);
  peer = {};
}

void roundTrip(const Napi::CallbackInfo&) {
  const Begin request{0, kReads, sizeof request, 0, 0, 8, 0, 8};
  Answer answer{};
  sendAll(peer.socket, &request, sizeof request);
  need(receiveAll(peer.socket, &answer, sizeof answer));
}

alignas(64) uint8_t source[kBlock];

void sendTogether() {
  Begin begins[kTogether];
  iovec pieces[2 * kTogether];
  for (size_t i = 0; i < kTogether; i++) {
    begins[i] = {static_cast<uint16_t>(i), kWrites, sizeof(Begin) + kBlock, 0x10, 0, i * kBlock, 0, kBlock};
    pieces[2 * i] = {&begins[i], sizeof begins[i]};
    pieces[2 * i + 1] = {source, kBlock};
  }
  msghdr call{};
  call.msg_iov = pieces;
  call.msg_iovlen = 2 * kTogether;
  need(sendmsg(peer.socket, &call, MSG_NOSIGNAL) == kTogether * (sizeof(Begin) + kBlock));
}

void sendBlocks(const Napi::CallbackInfo& info) {
  const uint32_t times = info[0].ToNumber().Uint32Value();
  for (uint32_t i = 0; i < times; i++) sendTogether();
  roundTrip(info);
}

void ring(const Napi::CallbackInfo&) { peer.rung->fetch_add(1, std::memory_order_relaxed); }

void ringAndWait(const Napi::CallbackInfo& info) {
  uint64_t count = 0;
  ring(info);
  need(eventfd_read(peer.eventfd, &count) == 0);
}

void onReadable(uv_poll_t*, int, int) {
  uint64_t count = 0;
  if (peer.poll == nullptr || eventfd_read(peer.eventfd, &count) != 0) return;
  const Napi::Env env = peer.heard.Env();
  const Napi::HandleScope scope(env);
  peer.heard.MakeCallback(env.Global(), {});
}

void hear(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  need(napi_get_uv_event_loop(info.Env(), &loop) == napi_ok);
  peer.heard = Napi::Persistent(info[0].As<Napi::Function>());
  peer.poll = new uv_poll_t;
  need(uv_poll_init(loop, peer.poll, peer.eventfd) == 0);
  need(uv_poll_start(peer.poll, UV_READABLE, onReadable) == 0);
}

}  // namespace

void addProcesses(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, void (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("startAnswerer", start<answerLoads>);
  add("startTaker", start<takeBlocks>);
  add("startRinger", start<ringBack>);
  add("hangUp", hangUp);
  add("roundTrip", roundTrip);
  add("sendBlocks", sendBlocks);
  add("ring", ring);
  add("hear", hear);
  add("ringAndWait", ringAndWait);
}

}  // namespace ismio::bench
