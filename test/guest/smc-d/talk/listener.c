// The end that answers.
#include <unistd.h>

#include "talk.h"

// The requests of one connection, to its end.
static void answer(int socket) {
  struct Request request;
  while (receiveAll(socket, &request, sizeof request)) {
    if (request.kind == kEcho) {
      if (request.length > kLargest || !receiveAll(socket, received, request.length)) return;
      const uint64_t sum = checksum(received, request.length);
      if (!sendAll(socket, &sum, sizeof sum) || !sendAll(socket, received, request.length)) return;
    } else if (request.kind == kSink) {
      const uint64_t count = drain(socket);
      sendAll(socket, &count, sizeof count);
    } else if (request.kind == kSource) {
      stream(socket, kStreaming);
    } else {
      say("sends until it is killed");
      while (sendAll(socket, sent, kPiece)) continue;
    }
  }
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

void listener(const char* own) { serve(own, fork() == 0 ? AF_INET : AF_SMC); }
