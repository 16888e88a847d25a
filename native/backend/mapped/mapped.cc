#include "backend/mapped/mapped.h"

#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "insn/plain.h"
#include "support/pages.h"

namespace ismio {
namespace {

// A read of 4 KiB; callers hand over fewer stores at once (native/exec). Some microseconds at most.
constexpr uint64_t kTogether = 512;

}  // namespace

std::unique_ptr<Mapping> Mapping::open(File::Request request, File::Problem& problem) {
  std::unique_ptr<File> file = File::open(request, problem);
  if (file == nullptr) return nullptr;
  const int descriptor = file->descriptor();
  const size_t pageSize = file->pageSize();
  std::unique_ptr<Mapping> mapping(new Mapping(std::move(file), request.offset, request.length, pageSize));
  return mapping->map(descriptor, request.writable, problem) ? std::move(mapping) : nullptr;
}

std::unique_ptr<Mapping> Mapping::of(int device, uint64_t offset, size_t length, bool writable,
                                     File::Problem& problem) {
  const auto pageSize = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::unique_ptr<Mapping> mapping(new Mapping(nullptr, offset, length, pageSize));
  return mapping->map(device, writable, problem) ? std::move(mapping) : nullptr;
}

// The kernel maps whole pages of the file's own size, and unmaps only those (munmap of a hugetlbfs mapping is EINVAL
// for anything else), so a region that begins or ends within a page has the rest of it mapped beside it. A device says
// itself where its mappings begin.
Mapping::Mapping(std::unique_ptr<File> file, uint64_t offset, size_t length, size_t pageSize)
    : file_(std::move(file)),
      pageSize_(pageSize),
      begin_(file_ == nullptr ? offset : offset & ~static_cast<uint64_t>(pageSize - 1)),
      before_(static_cast<size_t>(offset - begin_)),
      length_(length) {}

size_t Mapping::mapped() const { return (before_ + length_ + pageSize_ - 1) & ~(pageSize_ - 1); }

bool Mapping::map(int descriptor, bool writable, File::Problem& problem) {
  const auto refuse = [&problem](const char* call, int errorNumber) {
    problem.refusal = File::Refusal::systemError;
    problem.call = call;
    problem.errorNumber = errorNumber;
    return false;
  };
  const int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  void* pages = mmap(nullptr, mapped(), protection, MAP_SHARED, descriptor, static_cast<off_t>(begin_));
  if (pages == MAP_FAILED) return refuse("mmap", errno);
  pages_ = static_cast<uint8_t*>(pages);
  const int unwatched = guard_.watch(pages_, mapped(), pageSize_);
  return unwatched == 0 || refuse("sigaction", unwatched);
}

Mapping::~Mapping() {
  guard_.release();
  if (pages_ != nullptr) unmapPages(pages_, mapped());
}

// Asked once, as soon as somebody has met it: later the file may be another.
Loss Mapping::whyLost() const {
  const Loss known = told_.load(std::memory_order_relaxed);
  if (known != Loss::unknown) return known;
  const BusFault& fault = guard_.fault();
  const bool broken = fault.code() == BUS_MCEERR_AR || fault.code() == BUS_MCEERR_AO;
  const Loss loss = broken ? Loss::memoryError : file_ == nullptr ? Loss::device : file_->whyLost(begin_ + fault.at());
  told_.store(loss, std::memory_order_relaxed);
  return loss;
}

Mapped::Mapped(std::unique_ptr<Mapping> mapping, const Rules& rules, const Mmio* mmio)
    : Backend(mmio->plain ? kTogether : 1, mmio->plain ? kTogether : 1, mmio->sourceAlignment),
      mapping_(std::move(mapping)),
      base_(mapping_->base()),
      rules_(rules),
      mmio_(*mmio),
      device_(mmio != kernels().memory),
      loadsInPlace_(!device_ || (!order::kOfAccesses && mmio->plain && mmio == kernels().mapped)) {}

// An atomic load is one plain load, in the order that a device is promised where plain loads keep it by themselves. An
// atomic store is an exchange on x86-64, which a device would see as a load and a store.
InPlace Mapped::inPlace() const {
  if (!loadsInPlace_) return {};
  return {base_, mapping_->length(), &mapping_->fault().word(), device_};
}

[[gnu::noinline, gnu::cold]] Status Mapped::lost(Failure& failure) const {
  failure.loss = mapping_->whyLost();
  return Status::regionLost;
}

Status Mapped::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const uint8_t* address = base_ + offset;
  return loading(failure, [&] {
    return mmio_.plain ? plain::load(address, target, width, failure) : mmio_.load(address, target, width, failure);
  });
}

Status Mapped::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  done = 0;
  const Status status = loading(failure, [&] { return mmio_.loadWords(base_ + offset, target, words, done, failure); });
  if (status == Status::regionLost) done = 0;  // nobody knows when it went
  return status;
}

Status Mapped::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  uint8_t* address = base_ + offset;
  return storing(failure, [&] {
    return mmio_.plain ? plain::store(address, source, width, failure) : mmio_.store(address, source, width, failure);
  });
}

Status Mapped::storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
  if (!mmio_.plain) return Backend::storeWords(words, count, done, failure);
  const Status status = storing(failure, [&] {
    for (uint64_t i = 0; i < count; i++) {
      plain::storeOne<uint64_t>(base_ + words[i].offset, reinterpret_cast<const uint8_t*>(&words[i].bytes));
    }
    return Status::ok;
  });
  done = status == Status::ok ? count : 0;  // lost: nobody knows when it went
  return status;
}

// Memory takes any block; the rules are kept here too, so that what runs on a mapping also runs on the device it
// stands for.
Status Mapped::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  failure.rule = broken(rules_, offset, length);
  if (failure.rule != Rule::none) return Status::ruleBroken;
  return storing(failure, [&] { return mmio_.storeBlock(base_ + offset, source, length, failure); });
}

// One loop with everything in registers: what a block pushes out of the near caches need not be fetched back for the
// next.
Status Mapped::storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
  const auto storeOne = mmio_.storeBlock;
  uint8_t* const base = base_;
  const Rules rules = rules_;
  done = 0;
  if (order::kOfAccesses && device_) order::beforeDeviceStore();
  for (; done < count; done++) {
    const Block& block = blocks[done];
    failure.rule = broken(rules, block.offset, block.length);
    if (failure.rule != Rule::none) return Status::ruleBroken;
    const Status status = storeOne(base + block.offset, block.source, block.length, failure);
    if (mapping_->lost()) return lost(failure);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// Blocks that begin and end at multiples of 64 are the same accesses in one go (insn/mmio.h): the longest burst is 64
// bytes.
Status Mapped::storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) {
  if (!mmio_.plain || first.offset % 64 != 0 || first.length % 64 != 0) {
    return Backend::storeSpan(first, count, done, failure);
  }
  done = 0;
  failure.rule = broken(rules_, first.offset, first.length);
  if (failure.rule != Rule::none) return Status::ruleBroken;
  const auto length = static_cast<uint32_t>(first.length * count);
  const Status status =
      storing(failure, [&] { return mmio_.storeBlock(base_ + first.offset, first.source, length, failure); });
  done = status == Status::ok ? count : 0;  // lost: nobody knows when it went
  return status;
}

void Mapped::fence() { mmio_.fence(); }

}  // namespace ismio
