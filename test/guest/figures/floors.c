// What the engine is measured against: the loops that a C program would have. As a library, for a process that has a
// device open, it stores into a mapping or by pwrite; as a program it takes the time of an eventfd:
//
//   floors poll COUNT     signals an eventfd COUNT times from one thread, polls it in another, and prints how many
//                         nanoseconds after each signal it knew
//   floors signal COUNT   signals the eventfd that is descriptor 3, and prints when, on the clock of process.hrtime
//   floors reads DEPTH MILLISECONDS PATH..   reads 4 KiB at random places of each disk in turn, past the page cache,
//   DEPTH
//                         on their way at once, and prints how many a second each disk answered, a line each
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Between two signals: long enough that whoever waits for the next one sleeps.
static const int64_t kPause = 1000000;

static void die(const char* what) {
  fprintf(stderr, "floors: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

void* floors_map(int file, int64_t offset, uint64_t bytes) {
  void* mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset);
  if (mapped == MAP_FAILED) die("mmap");
  return mapped;
}

void floors_unmap(void* mapped, uint64_t bytes) { munmap(mapped, bytes); }

// 8-byte stores into a mapping, ascending; the nanoseconds that all passes took.
int64_t floors_stores(void* mapped, const void* source, uint64_t bytes, int passes) {
  volatile uint64_t* words = mapped;
  const uint64_t* values = source;
  const int64_t began = now();
  for (; passes > 0; passes--) {
    for (uint64_t i = 0; i < bytes / 8; i++) words[i] = values[i];
  }
  return now() - began;
}

// pwrites of `block` bytes, ascending; the nanoseconds that all passes took.
int64_t floors_pwrites(int file, int64_t offset, const void* source, uint64_t bytes, uint64_t block, int passes) {
  const int64_t began = now();
  for (; passes > 0; passes--) {
    for (uint64_t at = 0; at < bytes; at += block) {
      const ssize_t done = pwrite(file, (const char*)source + at, block, offset + (int64_t)at);
      if (done != (ssize_t)block) die("pwrite");
    }
  }
  return now() - began;
}

struct Signaller {
  int eventfd;
  int count;
  int64_t* sent;
};

static void* signals(void* argument) {
  struct Signaller* signaller = argument;
  const struct timespec pause = {0, kPause};
  const uint64_t one = 1;
  for (int i = 0; i < signaller->count; i++) {
    nanosleep(&pause, NULL);
    signaller->sent[i] = now();
    if (write(signaller->eventfd, &one, sizeof one) != sizeof one) die("write");
  }
  return NULL;
}

static int polled(int count) {
  struct Signaller signaller = {eventfd(0, EFD_NONBLOCK), count, calloc(count, sizeof(int64_t))};
  int64_t* seen = calloc(count, sizeof *seen);
  pthread_t thread;
  if (pthread_create(&thread, NULL, signals, &signaller) != 0) die("pthread_create");
  for (int i = 0; i < count;) {
    struct pollfd wanted = {signaller.eventfd, POLLIN, 0};
    uint64_t signalled = 0;
    poll(&wanted, 1, -1);
    if (read(signaller.eventfd, &signalled, sizeof signalled) != sizeof signalled) continue;
    const int64_t at = now();
    while (signalled-- > 0) seen[i++] = at;
  }
  pthread_join(thread, NULL);
  for (int i = 0; i < count; i++) printf("%lld\n", (long long)(seen[i] - signaller.sent[i]));
  return 0;
}

static int signalled(int count) {
  struct Signaller signaller = {3, count, calloc(count, sizeof(int64_t))};
  signals(&signaller);
  for (int i = 0; i < count; i++) printf("%lld\n", (long long)signaller.sent[i]);
  return 0;
}

enum { kRead = 4096, kMostDepth = 256 };

// By the kernel's asynchronous I/O, which reaches the driver's queue as deep as it is asked for.
static double readsOf(const char* path, int depth, int64_t nanoseconds) {
  const int disk = open(path, O_RDONLY | O_DIRECT);
  if (disk < 0) die(path);
  const off_t pages = lseek(disk, 0, SEEK_END) / kRead;
  char* bytes = NULL;
  if (posix_memalign((void**)&bytes, kRead, (size_t)depth * kRead) != 0) die("posix_memalign");
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, depth, &context) != 0) die("io_setup");
  struct iocb reads[kMostDepth];
  struct io_event ended[kMostDepth];
  uint64_t draw = 1;
  int64_t done = 0;
  const int64_t began = now();
  const int64_t end = began + nanoseconds;
  int begun = 0;
  for (int i = 0; i < depth; i++) ended[i].data = (uint64_t)i;
  for (int free = depth; free > 0 || begun > 0;) {
    for (int i = 0; i < free && now() < end; i++) {
      struct iocb* read = &reads[ended[i].data];
      draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407;
      memset(read, 0, sizeof *read);
      read->aio_data = ended[i].data;
      read->aio_lio_opcode = IOCB_CMD_PREAD;
      read->aio_fildes = (uint32_t)disk;
      read->aio_buf = (uint64_t)(bytes + ended[i].data * kRead);
      read->aio_nbytes = kRead;
      read->aio_offset = (int64_t)((draw >> 33) % (uint64_t)pages) * kRead;
      if (syscall(SYS_io_submit, context, 1, &read) != 1) die("io_submit");
      begun++;
    }
    if (begun == 0) break;
    free = (int)syscall(SYS_io_getevents, context, 1, depth, ended, NULL);
    if (free < 1) die("io_getevents");
    for (int i = 0; i < free; i++) {
      if (ended[i].res != kRead) die("a read");
    }
    begun -= free;
    done += free;
  }
  const double seconds = (double)(now() - began) / 1e9;
  syscall(SYS_io_destroy, context);
  free(bytes);
  close(disk);
  return (double)done / seconds;
}

static int readAll(int depth, int milliseconds, char** paths, int count) {
  if (depth < 1 || depth > kMostDepth) return 2;
  for (int i = 0; i < count; i++) printf("%.0f\n", readsOf(paths[i], depth, milliseconds * INT64_C(1000000)));
  return 0;
}

int main(int count, char** words) {
  if (count > 4 && strcmp(words[1], "reads") == 0) {
    return readAll(atoi(words[2]), atoi(words[3]), words + 4, count - 4);
  }
  if (count == 3 && strcmp(words[1], "poll") == 0) return polled(atoi(words[2]));
  if (count == 3 && strcmp(words[1], "signal") == 0) return signalled(atoi(words[2]));
  fprintf(stderr, "floors: what to measure?\n");
  return 2;
}
