// The end that asks, and looks at the answers.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "mode.h"
#include "talk.h"

static const uint32_t kSizes[] = {1,   2,   3,    7,    8,    9,    15,    16,    17,     100,    127,
                                  128, 129, 1000, 4095, 4096, 4097, 16384, 65535, 262144, 1000000};
enum { kSizeCount = sizeof kSizes / sizeof *kSizes, kLives = 200, kTurns = 300 };

static int failures;

static void expect(bool good) { failures += !good; }

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

static int asked(const char* to, int family, uint32_t kind) {
  const struct Request request = {kind, 0};
  const int socket = connected(to, family);
  if (socket < 0 || !sendAll(socket, &request, sizeof request)) die("a request");
  return socket;
}

// Bytes that no other seed has: those of a linear congruential generator, its highest.
static void fill(uint8_t* bytes, size_t length, uint64_t seed) {
  for (size_t i = 0; i < length; i++) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    bytes[i] = (uint8_t)(seed >> 56);
  }
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
    expect(good);
    say("echo of %u bytes: %s", kSizes[i], good ? "good" : "bad");
  }
  const struct Mode mode = modeOf(socket);
  expect(mode.mode == SMC_DIAG_MODE_SMCD);
  say("carried by %s, own GID 0x%llx and token 0x%llx, peer's GID 0x%llx and token 0x%llx", modeName(mode),
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
    direct += modeOf(socket).mode == SMC_DIAG_MODE_SMCD;
    close(socket);
  }
  const double each = (now() - began) / kLives;
  expect(good == kLives && direct == kLives);
  say("%d of %d connections echoed, %d by SMC-D", good, kLives, direct);
  say("figure: a connection from its opening to its end %.1f ms", each * 1e3);
}

static void tellDriver(const char* what, const char* function) {
  char path[64] = "/sys/bus/pci/drivers/ism/";
  const int file = open(strcat(path, what), O_WRONLY);
  if (file < 0 || write(file, function, strlen(function)) < 0) die(path);
  close(file);
}

// The driver is taken from its function and given back to it, with a link group on it whose connections are closed:
// Linux waits for that [net/smc/smc_core.c, smc_smcd_terminate_all], and a program that has one open would wait for
// itself.
static void rebind(const char* to) {
  const char* function = getenv("ISM");
  if (function == NULL) die("ISM");
  tellDriver("unbind", function);
  const int without = connected(to, AF_SMC);
  expect(without >= 0 && echo(without, 100));
  const struct Mode fallen = modeOf(without);
  close(without);
  tellDriver("bind", function);
  const int with = connected(to, AF_SMC);
  expect(with >= 0 && echo(with, kLargest));
  const struct Mode risen = modeOf(with);
  close(with);
  expect(fallen.mode == SMC_DIAG_MODE_FALLBACK_TCP && risen.mode == SMC_DIAG_MODE_SMCD);
  say("without its driver carried by %s, with it again by %s", modeName(fallen), modeName(risen));
}

static void figures(const char* to, int family, const char* name) {
  const int turning = connected(to, family);
  double began = now();
  for (int i = 0; i < kTurns; i++) expect(echo(turning, 64));
  const double turn = (now() - began) / kTurns;
  close(turning);

  const int sink = asked(to, family, kSink);
  began = now();
  uint64_t count = 0;
  const uint64_t out = stream(sink, kStreaming);
  expect(receiveAll(sink, &count, sizeof count) && count == out);
  const double outward = (double)out / (now() - began);
  close(sink);

  const int source = asked(to, family, kSource);
  began = now();
  const uint64_t in = drain(source);
  const double inward = (double)in / (now() - began);
  close(source);
  expect(in > 0);
  say("figure: %s %.2f MiB/s to the listener, %.2f MiB/s from it, an echo of 64 bytes %.2f ms", name, outward / 1048576,
      inward / 1048576, turn * 1e3);
}

// The host kills the other machine as soon as this has said that bytes come.
static void flood(const char* to) {
  const int socket = asked(to, AF_SMC, kFlood);
  const struct timeval limit = {30, 0};
  if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) die("SO_RCVTIMEO");
  if (!receiveAll(socket, received, kLargest)) die("flood");
  say("%d bytes of the flood came", kLargest);
  while (receiveAll(socket, received, kPiece)) continue;
  const int why = errno;
  // recv answers 0 as at the end of a stream, because it looks whether the connection was killed before it looks at its
  // error [Linux net/smc/smc_rx.c, smc_rx_recvmsg]. That is there all the same.
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) die("SO_ERROR");
  const bool refused = send(socket, sent, 1, MSG_NOSIGNAL) < 0;
  const int refusal = errno;
  expect(why != EAGAIN && error == ECONNABORTED && refused);
  say("the flood ended by recv: %s; error of the socket: %s; send: %s", why == 0 ? "end of stream" : strerror(why),
      strerror(error), refused ? strerror(refusal) : "taken");
  close(socket);
}

int connector(const char* to) {
  close(connectedSoon(to, AF_INET));
  echoes(to);
  lives(to);
  figures(to, AF_SMC, "SMC-D");
  figures(to, AF_INET, "TCP");
  rebind(to);
  flood(to);
  return failures;
}
