#include "backend/file/file.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace ismio {
namespace {

std::nullptr_t refused(File::Problem& problem, File::Refusal refusal, const char* call, int errorNumber) {
  problem.refusal = refusal;
  problem.call = call;
  problem.errorNumber = errorNumber;
  return nullptr;
}

}  // namespace

std::unique_ptr<File> File::open(Request& request, Problem& problem) {
  const auto refuse = [&](Refusal refusal, const char* call, int errorNumber) {
    return refused(problem, refusal, call, errorNumber);
  };
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const int access = (request.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
  const int descriptor = ::open(request.path.c_str(), access);
  if (descriptor < 0) return refuse(Refusal::systemError, "open", errno);
  std::unique_ptr<File> file(new File(descriptor));
  struct stat status;
  if (fstat(descriptor, &status) != 0) return refuse(Refusal::systemError, "fstat", errno);
  if (!S_ISREG(status.st_mode)) return refuse(Refusal::notRegular, "fstat", 0);
  const int unknown = file->look();
  if (unknown != 0) return refuse(Refusal::systemError, "fstatfs", unknown);
  problem.pageSize = file->pageSize_;
  problem.fileSize = static_cast<uint64_t>(status.st_size);
  if (problem.fileSize == 0) return refuse(Refusal::empty, "fstat", 0);
  if (request.offset >= problem.fileSize) return refuse(Refusal::tooShort, "fstat", 0);
  const uint64_t available = problem.fileSize - request.offset;
  if (request.length > available) return refuse(Refusal::tooShort, "fstat", 0);
  if (request.length == 0) request.length = available;
  return file;
}

// Nothing was buffered, so there is nothing that closing could still fail to write.
File::~File() { ::close(descriptor_); }

int File::look() {
  struct statfs system;
  if (fstatfs(descriptor_, &system) != 0) return errno;
  const auto type = static_cast<unsigned long>(system.f_type);
  huge_ = type == HUGETLBFS_MAGIC;
  device_ = type == SYSFS_MAGIC;
  pageSize_ = static_cast<size_t>(huge_ ? system.f_bsize : sysconf(_SC_PAGESIZE));
  return 0;
}

// lseek tells the same as fstat (NFS and FUSE ask whoever has the file in both) with less to copy. Nobody uses the
// position that it moves to. What it says of a file system that knows no end (noop_llseek) is never more than there is.
Status File::reaches(uint64_t end, Failure& failure) const {
  const off_t last = lseek(descriptor_, 0, SEEK_END);
  if (last >= 0 && static_cast<uint64_t>(last) >= end) return Status::ok;
  struct stat status;
  if (fstat(descriptor_, &status) != 0) {
    failure.errorNumber = errno;
    return Status::systemError;
  }
  if (static_cast<uint64_t>(status.st_size) >= end) return Status::ok;
  failure.loss = Loss::truncated;
  return Status::regionLost;
}

// A page of a file that reaches as far is missing where the file system had none to give: tmpfs when it is full
// (Linux mm/shmem.c, shmem_fault), hugetlbfs when no huge page is free (mm/hugetlb.c, hugetlb_no_page), others also
// when the disk failed or a quota is used up.
Loss File::whyLost(uint64_t offset) const {
  if (device_) return Loss::device;
  struct stat status;
  struct statfs system;
  if (fstat(descriptor_, &status) != 0 || fstatfs(descriptor_, &system) != 0) return Loss::unknown;
  if (offset >= static_cast<uint64_t>(status.st_size)) return Loss::truncated;
  if (huge_ || system.f_bavail == 0) return Loss::noSpace;
  return static_cast<unsigned long>(system.f_type) == TMPFS_MAGIC ? Loss::unknown : Loss::ioError;
}

}  // namespace ismio
