// A file that is not mapped: every access is one pread or pwrite, as on a VFIO region that cannot be mapped.
//
// pwrite makes a file longer where it ends too early. So the file's length is looked at before the first store of each
// call into native code (a store, a write, a batch), and after every 64 of them; once it has been found shorter than
// the region, the region is lost for good. What is truncated while such a call runs may grow again by the stores of
// that call that come before the next look.
#pragma once

#include <atomic>

#include "backend/file/file.h"
#include "backend/vfio/vfio.h"

namespace ismio {

class Unmapped final : public Backend {
 public:
  // [offset, offset + length) of the file.
  Unmapped(std::unique_ptr<File> file, std::unique_ptr<Vfio> calls, uint64_t end);

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  Status storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) override;
  void fence() override;

 private:
  Status look(Failure& failure);
  Status mayStore(uint64_t count, Failure& failure);
  Status loaded(Status status, Failure& failure);

  const std::unique_ptr<File> file_;
  const std::unique_ptr<Vfio> calls_;
  const uint64_t end_;
  std::atomic<bool> lost_{false};
};

}  // namespace ismio
