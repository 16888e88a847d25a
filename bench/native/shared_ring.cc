// The floor of streams by lanes: a ring of bytes in memory that two processes share, in C. Whoever finds no room, or
// nothing to read, looks again for a while and then sleeps; it is woken only where it sleeps.
#include "shared_ring.h"

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>

namespace ismio::bench {
namespace {

constexpr uint32_t kRing = 512 << 10;  // as the streams that are held against it have
constexpr uint32_t kPiece = 64 << 10;
constexpr int kLooks = 2000;

// Bytes that went in or came out, counted without end, and whether somebody sleeps until there are more.
struct alignas(64) Count {
  std::atomic<uint32_t> bytes{0};
  std::atomic<uint32_t> sleeper{0};
};

struct Ring {
  Count produced;
  Count consumed;
  alignas(4096) uint8_t bytes[kRing];
};

Ring* ring = nullptr;
pid_t reader = -1;

alignas(64) uint8_t sent[kPiece];
alignas(64) uint8_t taken[kPiece];

void need(bool succeeded) {
  if (!succeeded) std::abort();
}

void publish(Count& count, uint32_t bytes) {
  count.bytes.fetch_add(bytes);
  if (count.sleeper.load() != 0) syscall(SYS_futex, &count.bytes, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void waitWhile(Count& count, uint32_t old) {
  for (int look = 0; look < kLooks; look++) {
    if (count.bytes.load() != old) return;
  }
  count.sleeper = 1;
  while (count.bytes.load() == old) syscall(SYS_futex, &count.bytes, FUTEX_WAIT, old, nullptr, nullptr, 0);
  count.sleeper = 0;
}

// The bytes from a place on, which may go round the end of the ring.
template <typename Copy>
void eachPart(uint32_t from, uint32_t length, Copy copy) {
  const uint32_t at = from % kRing;
  const uint32_t first = std::min(length, kRing - at);
  copy(ring->bytes + at, 0, first);
  copy(ring->bytes, first, length - first);
}

[[noreturn]] void read() {
  uint32_t done = 0;
  while (true) {
    const uint32_t there = ring->produced.bytes.load() - done;
    if (there == 0) {
      waitWhile(ring->produced, done);
      continue;
    }
    const uint32_t length = std::min(there, kPiece);
    eachPart(done, length, [](const uint8_t* part, uint32_t at, uint32_t bytes) { memcpy(taken + at, part, bytes); });
    done += length;
    publish(ring->consumed, length);
  }
}

void startRing(const Napi::CallbackInfo&) {
  void* shared = mmap(nullptr, sizeof(Ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(shared != MAP_FAILED);
  ring = new (shared) Ring;
  memset(sent, 0x5a, sizeof sent);
  reader = fork();
  need(reader >= 0);
  if (reader != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  syscall(SYS_close_range, 0u, ~0u, 0u);
  read();
}

// sendPieces(pieces): so many times 64 KiB; returns when all have been taken
void sendPieces(const Napi::CallbackInfo& info) {
  const uint32_t pieces = info[0].ToNumber().Uint32Value();
  uint32_t done = ring->produced.bytes.load();
  for (uint32_t i = 0; i < pieces; i++) {
    uint32_t consumed = ring->consumed.bytes.load();
    for (; kRing - (done - consumed) < kPiece; consumed = ring->consumed.bytes.load()) {
      waitWhile(ring->consumed, consumed);
    }
    eachPart(done, kPiece, [](uint8_t* part, uint32_t at, uint32_t bytes) { memcpy(part, sent + at, bytes); });
    done += kPiece;
    publish(ring->produced, kPiece);
  }
  for (uint32_t consumed = ring->consumed.bytes.load(); consumed != done; consumed = ring->consumed.bytes.load()) {
    waitWhile(ring->consumed, consumed);
  }
}

void endRing(const Napi::CallbackInfo&) {
  kill(reader, SIGKILL);
  need(waitpid(reader, nullptr, 0) == reader);
  munmap(ring, sizeof(Ring));
  ring = nullptr;
}

}  // namespace

void addSharedRing(Napi::Env env, Napi::Object exports) {
  exports.Set("startRing", Napi::Function::New(env, startRing, "startRing"));
  exports.Set("sendPieces", Napi::Function::New(env, sendPieces, "sendPieces"));
  exports.Set("endRing", Napi::Function::New(env, endRing, "endRing"));
}

}  // namespace ismio::bench
