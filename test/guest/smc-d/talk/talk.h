// What both ends of the sockets share: how they find each other, what one asks of the other, and how bytes go over.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

// What a connector asks for, in the 8 bytes before anything else; both machines have the same byte order.
enum {
  kEcho = 1,    // `length` bytes follow: their checksum, and then they themselves, come back
  kSink = 2,    // bytes follow to the end of the stream: their number comes back
  kSource = 3,  // bytes come for kStreaming seconds, to the end of the stream
  kFlood = 4,   // bytes come until somebody dies
};
struct Request {
  uint32_t kind;
  uint32_t length;
};

enum { kLargest = 1000000, kPiece = 65536, kStreaming = 2 };

extern const char* role;  // before each line that is said
extern uint8_t sent[kLargest], received[kLargest];

void say(const char* format, ...);
// Says what did not go well and why, and ends the program.
void die(const char* what);
// Seconds.
double now(void);

bool sendAll(int socket, const void* data, size_t length);
// An end before all of it came is an error of its own: 0 in errno.
bool receiveAll(int socket, void* data, size_t length);
// Sends for so many seconds; how many bytes.
uint64_t stream(int socket, double seconds);
// Receives to the end of the stream; how many bytes.
uint64_t drain(int socket);
uint64_t checksum(const uint8_t* bytes, size_t length);

// Ports differ by the family of their sockets.
struct sockaddr_in addressOf(const char* text, int family);
// A small piece is not to wait until the one before it was acknowledged: TCP would be measured by its timers.
int undelayed(int socket);

void listener(const char* own);
// How much was not as it should be.
int connector(const char* to);
