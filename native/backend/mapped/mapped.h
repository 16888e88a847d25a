// A mapping: of a file (ordinary memory) or of a PCI BAR (sysfs resourceN). Kind 'device' is touched through the CPU's
// device-safe kernel only; kind 'memory' may be copied in any way.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/backend.h"
#include "backend/file/file.h"
#include "backend/mapped/guard.h"
#include "insn/mmio.h"
#include "insn/order.h"

namespace ismio {

// A shared mapping of a file, unmapped when it goes.
class Mapping {
 public:
  // Opens the file, which then stays open: it is asked why a page has gone.
  static std::unique_ptr<Mapping> open(File::Request request, File::Problem& problem);
  // Of a device's file that is open already, and stays so only as long as the caller likes.
  static std::unique_ptr<Mapping> of(int device, uint64_t offset, size_t length, bool writable, File::Problem& problem);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* base() const { return pages_ + before_; }
  size_t length() const { return length_; }
  bool lost() const { return guard_.lost(); }
  const BusFault& fault() const { return guard_.fault(); }
  Loss whyLost() const;

 private:
  Mapping(std::unique_ptr<File> file, uint64_t offset, size_t length, size_t pageSize);
  bool map(int descriptor, bool writable, File::Problem& problem);
  size_t mapped() const;

  const std::unique_ptr<File> file_;  // null: a device
  const size_t pageSize_;
  const uint64_t begin_;  // in the file: the page that the region begins in
  const size_t before_;   // bytes of that page before the region
  const size_t length_;
  uint8_t* pages_ = nullptr;
  mutable std::atomic<Loss> told_{Loss::unknown};
  Guard guard_;
};

class Mapped final : public Backend {
 public:
  Mapped(std::unique_ptr<Mapping> mapping, const Rules& rules, const Mmio* mmio);

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  Status storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) override;
  Status storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) override;
  InPlace inPlace() const override;
  void fence() override;

 private:
  // What an access answers: the loss, where there was one by then. (Once it was told, the region lets no access come
  // here; until then zeros are there, in one mapping for all of it.)
  Status guarded(Status status, Failure& failure) const {
    if (mapping_->lost()) [[unlikely]]
      return lost(failure);
    return status;
  }
  // The same for loads and stores of a device, which keep the order of insn/order.h.
  template <class Access>
  Status loading(Failure& failure, Access&& access) const {
    const Status status = access();
    if (order::kOfAccesses && device_) order::afterDeviceLoad();
    return guarded(status, failure);
  }
  template <class Access>
  Status storing(Failure& failure, Access&& access) const {
    if (order::kOfAccesses && device_) order::beforeDeviceStore();
    return guarded(access(), failure);
  }
  Status lost(Failure& failure) const;

  const std::unique_ptr<Mapping> mapping_;
  uint8_t* const base_;
  const Rules rules_;
  const Mmio mmio_;
  const bool device_;
  const bool loadsInPlace_;
};

}  // namespace ismio
