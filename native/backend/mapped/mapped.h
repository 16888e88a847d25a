// A mapping: of a file (ordinary memory) or of a PCI BAR (sysfs resourceN). Kind 'device' is touched through the CPU's
// device-safe kernel only; kind 'memory' may be copied in any way.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/mapped/guard.h"
#include "insn/mmio.h"

namespace ismio {

// A shared mapping of a file, unmapped when it goes.
class Mapping {
 public:
  struct Request {
    std::string path;
    uint64_t offset;  // a multiple of the page size
    uint64_t length;  // 0: all from offset on
    bool writable;
  };
  // Why it could not be made. Shared with src/wire.ts by value.
  enum class Refusal : uint8_t { none = 0, systemError = 1, empty = 2, tooShort = 3, notMappable = 4, tooMany = 5 };
  struct Problem {
    Refusal refusal = Refusal::none;
    const char* call = "";
    int errorNumber = 0;
    uint64_t fileSize = 0;
  };

  static std::unique_ptr<Mapping> open(const Request& request, Problem& problem);
  // Of a file that is open already, and stays so only as long as the caller likes.
  static std::unique_ptr<Mapping> of(int descriptor, uint64_t offset, size_t length, bool writable, Problem& problem);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* base() const { return base_; }
  size_t length() const { return length_; }
  bool lost() const { return guard_.lost(); }

 private:
  Mapping(uint8_t* base, size_t length, size_t pageSize);

  uint8_t* const base_;
  const size_t length_;
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
  void fence() override;

 private:
  Status after(Status status) const { return mapping_->lost() ? Status::regionLost : status; }

  const std::unique_ptr<Mapping> mapping_;
  uint8_t* const base_;
  const Rules rules_;
  const Mmio mmio_;
};

}  // namespace ismio
