// What the guests do with sockets of AF_SMC, and with those of TCP that they are compared with. Each result is a line
// on the console, which the host's tests read.
//
//   talk listener ADDRESS    serves at ADDRESS until it is killed
//   talk connector ADDRESS   asks for one thing after the other; ends with 0 when all of it was answered as it should
//   be
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "diag.h"

// Ports, by the family of their sockets.
enum { kSmcPort = 4711, kTcpPort = 4712 };

// What a connector asks for, in the 8 bytes before anything else; both machines have the same byte order.
enum { kEcho = 1, kCount = 2, kFlood = 3 };
struct Request {
  uint32_t kind;
  uint32_t length;
};

static const uint32_t kSizes[] = {1,   2,   3,    7,    8,    9,    15,    16,    17,     100,    127,
                                  128, 129, 1000, 4095, 4096, 4097, 16384, 65535, 262144, 1000000};
enum { kSizeCount = sizeof kSizes / sizeof *kSizes, kLargest = 1000000, kLives = 200, kTurns = 300, kPiece = 65536 };

static const char* role;
static uint8_t sent[kLargest], received[kLargest];
static int failures;

static void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("%s: ", role);
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
}

static void die(const char* what) {
  say("%s: %s", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool sendAll(int socket, const void* data, size_t length) {
  for (const uint8_t* from = data; length > 0;) {
    const ssize_t done = send(socket, from, length, MSG_NOSIGNAL);
    if (done <= 0) return false;
    from += done;
    length -= (size_t)done;
  }
  return true;
}

// An end before all of it came is an error of its own: 0 in errno.
static bool receiveAll(int socket, void* data, size_t length) {
  for (uint8_t* to = data; length > 0;) {
    errno = 0;
    const ssize_t done = recv(socket, to, length, 0);
    if (done <= 0) return false;
    to += done;
    length -= (size_t)done;
  }
  return true;
}

// FNV-1a, of 64 bits.
static uint64_t checksum(const uint8_t* bytes, size_t length) {
  uint64_t sum = 0xcbf29ce484222325;
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 0x100000001b3;
  return sum;
}

// Bytes that no other seed has: those of a linear congruential generator, its highest.
static void fill(uint8_t* bytes, size_t length, uint64_t seed) {
  for (size_t i = 0; i < length; i++) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    bytes[i] = (uint8_t)(seed >> 56);
  }
}

static struct sockaddr_in addressOf(const char* text, int family) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(family == AF_SMC ? kSmcPort : kTcpPort)};
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

// The listener answers the requests of one connection, to its end.
static void answer(int socket) {
  struct Request request;
  while (receiveAll(socket, &request, sizeof request)) {
    if (request.kind == kEcho) {
      if (!receiveAll(socket, received, request.length)) return;
      const uint64_t sum = checksum(received, request.length);
      if (!sendAll(socket, &sum, sizeof sum) || !sendAll(socket, received, request.length)) return;
    } else if (request.kind == kCount) {
      uint64_t count = 0;
      for (ssize_t got; (got = recv(socket, received, kPiece, 0)) > 0;) count += (uint64_t)got;
      sendAll(socket, &count, sizeof count);
      return;
    } else {
      say("sends until it is killed");
      while (sendAll(socket, sent, kPiece)) continue;
      return;
    }
  }
}

// A small piece is not to wait until the one before it was acknowledged: TCP would be measured by its timers.
static int undelayed(int socket) {
  const int one = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return socket;
}

static void serve(const char* own, int family) {
  const struct sockaddr_in address = addressOf(own, family);
  const int listening = socket(family, SOCK_STREAM, 0);
  if (listening < 0) die("socket");
  if (bind(listening, (const struct sockaddr*)&address, sizeof address) != 0) die("bind");
  if (listen(listening, 16) != 0) die("listen");
  for (;;) {
    const int accepted = accept(listening, NULL, NULL);
    if (accepted < 0) die("accept");
    answer(undelayed(accepted));
    close(accepted);
  }
}

static int connected(const char* to, int family) {
  const struct sockaddr_in address = addressOf(to, family);
  const int connecting = socket(family, SOCK_STREAM, 0);
  if (connecting < 0) die("socket");
  if (connect(connecting, (const struct sockaddr*)&address, sizeof address) == 0) return undelayed(connecting);
  close(connecting);
  return -1;
}

// The other machine may still be on its way.
static int connectedSoon(const char* to, int family) {
  for (const double began = now(); now() - began < 60; usleep(100000)) {
    const int socket = connected(to, family);
    if (socket >= 0) return socket;
  }
  die("connect");
  return -1;
}

static bool echo(int socket, uint32_t length) {
  const struct Request request = {kEcho, length};
  uint64_t sum;
  memset(received, 0, length);
  fill(sent, length, length);
  return sendAll(socket, &request, sizeof request) && sendAll(socket, sent, length) &&
         receiveAll(socket, &sum, sizeof sum) && receiveAll(socket, received, length) &&
         sum == checksum(sent, length) && memcmp(sent, received, length) == 0;
}

static void echoes(const char* to) {
  const int socket = connectedSoon(to, AF_SMC);
  for (int i = 0; i < kSizeCount; i++) {
    const bool good = echo(socket, kSizes[i]);
    failures += !good;
    say("echo of %u bytes: %s", kSizes[i], good ? "good" : strerror(errno));
  }
  struct Mode mode = modeOf(socket);
  failures += mode.mode != SMC_DIAG_MODE_SMCD;
  say("carried by %s, own GID 0x%llx and token 0x%llx, peer's GID 0x%llx and token 0x%llx", modeName(&mode),
      (unsigned long long)mode.dmb.my_gid, (unsigned long long)mode.dmb.token, (unsigned long long)mode.dmb.peer_gid,
      (unsigned long long)mode.dmb.peer_token);
  close(socket);
}

static void lives(const char* to) {
  int good = 0, direct = 0;
  const double began = now();
  for (int i = 0; i < kLives; i++) {
    const int socket = connected(to, AF_SMC);
    if (socket < 0) continue;
    good += echo(socket, (uint32_t)i + 1);
    const struct Mode mode = modeOf(socket);
    direct += mode.mode == SMC_DIAG_MODE_SMCD;
    close(socket);
  }
  failures += good != kLives || direct != kLives;
  say("%d of %d connections echoed, %d by SMC-D", good, kLives, direct);
  say("figure: a connection from its opening to its end %.1f ms", (now() - began) / kLives * 1e3);
}

static void figures(const char* to, int family, const char* name) {
  const int turning = connected(to, family);
  if (turning < 0) die(name);
  double began = now();
  for (int i = 0; i < kTurns; i++) failures += !echo(turning, 64);
  const double turn = (now() - began) / kTurns;
  close(turning);

  const struct Request request = {kCount, 0};
  const int socket = connected(to, family);
  if (socket < 0 || !sendAll(socket, &request, sizeof request)) die(name);
  uint64_t bytes = 0, count = 0;
  began = now();
  for (; now() - began < 3; bytes += kPiece)
    if (!sendAll(socket, sent, kPiece)) die(name);
  shutdown(socket, SHUT_WR);
  if (!receiveAll(socket, &count, sizeof count)) die(name);
  const double seconds = now() - began;
  close(socket);
  failures += count != bytes;
  say("figure: %s %.2f MiB/s, an echo of 64 bytes %.2f ms", name, (double)count / seconds / 1048576, turn * 1e3);
}

// The host kills the other machine as soon as this has said that bytes come.
static void flood(const char* to) {
  const struct Request request = {kFlood, 0};
  const int socket = connected(to, AF_SMC);
  const struct timeval limit = {30, 0};
  if (socket < 0 || !sendAll(socket, &request, sizeof request)) die("flood");
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!receiveAll(socket, received, kLargest)) die("flood");
  say("%d bytes of the flood came", kLargest);
  while (receiveAll(socket, received, kPiece)) continue;
  const int why = errno;
  // recv answers 0 as at the end of a stream, because the connection is taken for killed before its error is looked at
  // [Linux net/smc/smc_rx.c, smc_rx_recvmsg]. The error is there all the same.
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
  const bool refused = send(socket, sent, 1, MSG_NOSIGNAL) < 0;
  failures += why == EAGAIN || error != ECONNABORTED || !refused;
  say("the flood ended by recv: %s; error of the socket: %s; send: %s", why == 0 ? "end of stream" : strerror(why),
      strerror(error), refused ? strerror(errno) : "taken");
  close(socket);
}

int main(int count, char** words) {
  if (count != 3) return 2;
  role = words[1];
  if (strcmp(role, "listener") == 0) {
    if (fork() == 0) serve(words[2], AF_INET);
    serve(words[2], AF_SMC);
  }
  close(connectedSoon(words[2], AF_INET));
  echoes(words[2]);
  lives(words[2]);
  figures(words[2], AF_SMC, "SMC-D");
  figures(words[2], AF_INET, "TCP");
  flood(words[2]);
  return failures == 0 ? 0 : 1;
}
