// What the guests do with sockets of AF_SMC, and with those of TCP that they are compared with. Each result is a line
// on the console, which the host's tests read.
//
//   talk listener ADDRESS    serves at ADDRESS until it is killed
//   talk connector ADDRESS   asks for one thing after the other; ends with 0 when all of it was answered as it should
//   be
#include "talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kSmcPort = 4711, kTcpPort = 4712 };

const char* role;
uint8_t sent[kLargest], received[kLargest];

void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("%s: ", role);
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
}

void die(const char* what) {
  say("%s: %s", what, strerror(errno));
  exit(1);
}

double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

bool sendAll(int socket, const void* data, size_t length) {
  for (const uint8_t* from = data; length > 0;) {
    const ssize_t done = send(socket, from, length, MSG_NOSIGNAL);
    if (done <= 0) return false;
    from += done;
    length -= (size_t)done;
  }
  return true;
}

bool receiveAll(int socket, void* data, size_t length) {
  for (uint8_t* to = data; length > 0;) {
    errno = 0;
    const ssize_t done = recv(socket, to, length, 0);
    if (done <= 0) return false;
    to += done;
    length -= (size_t)done;
  }
  return true;
}

uint64_t stream(int socket, double seconds) {
  uint64_t count = 0;
  for (const double began = now(); now() - began < seconds && sendAll(socket, sent, kPiece);) count += kPiece;
  shutdown(socket, SHUT_WR);
  return count;
}

uint64_t drain(int socket) {
  uint64_t count = 0;
  for (ssize_t got; (got = recv(socket, received, kPiece, 0)) > 0;) count += (uint64_t)got;
  return count;
}

// FNV-1a, of 64 bits.
uint64_t checksum(const uint8_t* bytes, size_t length) {
  uint64_t sum = 0xcbf29ce484222325;
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 0x100000001b3;
  return sum;
}

struct sockaddr_in addressOf(const char* text, int family) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(family == AF_SMC ? kSmcPort : kTcpPort)};
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) die(text);
  return address;
}

int undelayed(int socket) {
  const int one = 1;
  if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) die("TCP_NODELAY");
  return socket;
}

int main(int count, char** words) {
  if (count != 3) return 2;
  role = words[1];
  if (strcmp(role, "listener") == 0) listener(words[2]);
  return connector(words[2]) == 0 ? 0 : 1;
}
