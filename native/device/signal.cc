#include "device/signal.h"

#include <cstdint>
#include <linux/aio_abi.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ismio::device {
namespace {

// The kernel signals the eventfds of VFIO without waiting (eventfd_signal). A program can only write to one, and a
// write may wait for room: whoever else has the eventfd can fill it between a look and the write, and O_NONBLOCK is a
// matter of all that have it, so it is neither ours to set nor sure to stay. But the kernel signals an eventfd as well
// when an operation of its asynchronous I/O has ended (IOCB_FLAG_RESFD): here a read of an empty file, which ends at
// once.
class Operations {
 public:
  Operations() {
    file_ = memfd_create("ismio", MFD_CLOEXEC);
    if (file_ >= 0 && syscall(SYS_io_setup, kMost, &context_) != 0) context_ = 0;
  }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  // False where this system has no such I/O, or none to spare.
  bool signal(int eventfd) {
    const std::lock_guard lock(mutex_);
    if (context_ == 0) return false;
    if (begun_ == kMost) collect();
    iocb read{};
    read.aio_lio_opcode = IOCB_CMD_PREAD;
    read.aio_fildes = static_cast<uint32_t>(file_);
    read.aio_flags = IOCB_FLAG_RESFD;
    read.aio_resfd = static_cast<uint32_t>(eventfd);
    iocb* begun = &read;
    if (syscall(SYS_io_submit, context_, 1, &begun) != 1) return false;
    begun_++;
    return true;
  }

 private:
  static constexpr long kMost = 64;

  // What has ended makes room for others, once it was looked at.
  void collect() {
    io_event ended[kMost];
    timespec none{};
    const long looked = syscall(SYS_io_getevents, context_, 0, kMost, ended, &none);
    if (looked > 0) begun_ -= looked;
  }

  std::mutex mutex_;
  aio_context_t context_ = 0;
  int file_ = -1;
  long begun_ = 0;
};

bool takesMore(int eventfd) {
  pollfd asked{eventfd, POLLOUT, 0};
  return poll(&asked, 1, 0) > 0 && (asked.revents & POLLOUT) != 0;
}

Operations& all() {
  static Operations operations;
  return operations;
}

}  // namespace

void prepareSignals() { all(); }

// Without such I/O an eventfd that is full is left alone; one that is filled right behind that look keeps the writer.
void signalEventfd(int eventfd) {
  if (!all().signal(eventfd) && takesMore(eventfd)) eventfd_write(eventfd, 1);
}

}  // namespace ismio::device
