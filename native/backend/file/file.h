// A file that a region is made of, held open as long as the region lives: what went wrong with its memory can be asked
// only of the file itself, whatever its name leads to by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"

namespace ismio {

class File {
 public:
  struct Request {
    std::string path;
    uint64_t offset;  // where the region begins
    uint64_t length;  // 0: all from offset on
    bool writable;
  };
  // Why a region could not be made of it. Shared with src/region/open.ts by value.
  enum class Refusal : uint8_t {
    none = 0,
    systemError = 1,
    empty = 2,
    tooShort = 3,
    notRegular = 4,
    noWriteCall = 5,  // a file of hugetlbfs, which the kernel lets nobody write through a system call
  };
  struct Problem {
    Refusal refusal = Refusal::none;
    const char* call = "";
    int errorNumber = 0;
    uint64_t fileSize = 0;
    size_t pageSize = 0;  // 0: not known yet
  };

  // Opens it and fills in the length of `request`, where that is 0. Null when no region can be made of it.
  static std::unique_ptr<File> open(Request& request, Problem& problem);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }
  // Of its memory: the system's, or that of a hugetlbfs.
  size_t pageSize() const { return pageSize_; }
  bool huge() const { return huge_; }
  // False when it ends before `end` now. `failure` then has the loss, or the errno of a file that cannot be asked.
  Status reaches(uint64_t end, Failure& failure) const;
  // Why there is no page at this offset, which there was once.
  Loss whyLost(uint64_t offset) const;

 private:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  int look();

  const int descriptor_;
  size_t pageSize_ = 0;
  bool huge_ = false;
  bool device_ = false;  // of sysfs: the BAR of a PCI function
};

}  // namespace ismio
