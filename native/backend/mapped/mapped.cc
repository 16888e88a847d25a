#include "backend/mapped/mapped.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

#include "insn/plain.h"

namespace ismio {
namespace {

// A read of 4 KiB; callers hand over fewer stores at once (native/exec). Some microseconds at most.
constexpr uint64_t kTogether = 512;

// Closes the file when the mapping is made or has failed; a mapping needs no open file.
struct File {
  const int descriptor;
  ~File() {
    if (descriptor >= 0) close(descriptor);
  }
};

size_t pageSizeOf(int descriptor) {
  struct statfs system;
  if (fstatfs(descriptor, &system) == 0 && static_cast<unsigned long>(system.f_type) == HUGETLBFS_MAGIC) {
    return static_cast<size_t>(system.f_bsize);
  }
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::nullptr_t refused(Mapping::Problem& problem, Mapping::Refusal refusal, const char* call, int errorNumber) {
  problem.refusal = refusal;
  problem.call = call;
  problem.errorNumber = errorNumber;
  return nullptr;
}

}  // namespace

std::unique_ptr<Mapping> Mapping::open(const Request& request, Problem& problem) {
  const auto refuse = [&](Refusal refusal, const char* call, int errorNumber) {
    return refused(problem, refusal, call, errorNumber);
  };
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const int access = (request.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
  const File file{::open(request.path.c_str(), access)};
  if (file.descriptor < 0) return refuse(Refusal::systemError, "open", errno);
  struct stat status;
  if (fstat(file.descriptor, &status) != 0) return refuse(Refusal::systemError, "fstat", errno);
  if (!S_ISREG(status.st_mode)) return refuse(Refusal::notMappable, "fstat", 0);
  problem.fileSize = static_cast<uint64_t>(status.st_size);
  if (problem.fileSize == 0) return refuse(Refusal::empty, "fstat", 0);
  if (request.offset >= problem.fileSize) return refuse(Refusal::tooShort, "fstat", 0);
  const uint64_t available = problem.fileSize - request.offset;
  if (request.length > available) return refuse(Refusal::tooShort, "fstat", 0);

  return of(file.descriptor, request.offset, request.length == 0 ? available : request.length, request.writable,
            problem);
}

std::unique_ptr<Mapping> Mapping::of(int descriptor, uint64_t offset, size_t length, bool writable, Problem& problem) {
  const int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  void* base = mmap(nullptr, length, protection, MAP_SHARED, descriptor, static_cast<off_t>(offset));
  if (base == MAP_FAILED) return refused(problem, Refusal::systemError, "mmap", errno);
  std::unique_ptr<Mapping> mapping(new Mapping(static_cast<uint8_t*>(base), length, pageSizeOf(descriptor)));
  if (!mapping->guard_.watching()) return refused(problem, Refusal::tooMany, "mmap", 0);
  return mapping;
}

Mapping::Mapping(uint8_t* base, size_t length, size_t pageSize)
    : base_(base), length_(length), guard_(base, length, pageSize) {}

Mapping::~Mapping() {
  guard_.release();
  munmap(base_, length_);
}

Mapped::Mapped(std::unique_ptr<Mapping> mapping, const Rules& rules, const Mmio* mmio)
    : Backend(mmio->plain ? kTogether : 1),
      mapping_(std::move(mapping)),
      base_(mapping_->base()),
      rules_(rules),
      mmio_(*mmio) {}

Status Mapped::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const uint8_t* address = base_ + offset;
  return after(mmio_.plain ? plain::load(address, target, width, failure)
                           : mmio_.load(address, target, width, failure));
}

Status Mapped::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  const Status status = after(mmio_.loadWords(base_ + offset, target, words, done, failure));
  if (status == Status::regionLost) done = 0;  // nobody knows when it went
  return status;
}

Status Mapped::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  uint8_t* address = base_ + offset;
  return after(mmio_.plain ? plain::store(address, source, width, failure)
                           : mmio_.store(address, source, width, failure));
}

Status Mapped::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  if (!mmio_.plain) return Backend::storeWords(words, count, done, failure);
  for (uint64_t i = 0; i < count; i++) {
    plain::storeOne<uint64_t>(base_ + words[i].offset, reinterpret_cast<const uint8_t*>(&words[i].bytes));
  }
  const Status status = after(Status::ok);
  done = status == Status::ok ? count : 0;  // lost: nobody knows when it went
  return status;
}

// Memory takes any block; the rules are kept here too, so that what runs on a mapping also runs on the device it
// stands for.
Status Mapped::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  failure.rule = broken(rules_, offset, length);
  if (failure.rule != Rule::none) return Status::ruleBroken;
  return after(mmio_.storeBlock(base_ + offset, source, length, failure));
}

// One loop with everything in registers: what a block pushes out of the near caches need not be fetched back for the
// next.
Status Mapped::storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
  const auto storeOne = mmio_.storeBlock;
  uint8_t* const base = base_;
  const Rules rules = rules_;
  for (done = 0; done < count; done++) {
    const Block& block = blocks[done];
    failure.rule = broken(rules, block.offset, block.length);
    if (failure.rule != Rule::none) return Status::ruleBroken;
    const Status status = after(storeOne(base + block.offset, block.source, block.length, failure));
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

void Mapped::fence() { mmio_.fence(); }

}  // namespace ismio
