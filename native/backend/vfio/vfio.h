// A region of a VFIO device that is read and written through its file descriptor: every access is one system call.
//
//   ism-vfio-pci   a pwrite is one PCISTB, stores of 1 to 8 bytes too; a pread is one PCILG for each 8 bytes
//                  [Linux drivers/vfio/pci/ism/main.c]
//   vfio-pci       a pread or pwrite is cut into loads or stores of 8, 4, 2 or 1 bytes; kernels before 6.10 have none
//   of 8
//                  [Linux drivers/vfio/pci/vfio_pci_rdwr.c]
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/mapped/mapped.h"

namespace ismio {

// A file descriptor of its own, closed when the last region lets go of it.
class Descriptor {
 public:
  // Null, with errno in `errorNumber`, when there are no more descriptors to be had.
  static std::shared_ptr<Descriptor> duplicate(int descriptor, int& errorNumber);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }

 private:
  explicit Descriptor(int number) : number_(number) {}
  const int number_;
};

class Vfio final : public Backend {
 public:
  // `base`: where the region begins in the device's file, as VFIO_DEVICE_GET_REGION_INFO says.
  Vfio(std::shared_ptr<Descriptor> device, uint64_t base, const Rules& rules);

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  void fence() override;

 private:
  Status put(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure);

  const std::shared_ptr<Descriptor> device_;
  const uint64_t base_;
  const Rules rules_;
};

// A region of which only parts can be mapped (VFIO_REGION_INFO_CAP_SPARSE_MMAP, an MSI-X table in a BAR): what lies in
// a mapped area is accessed there, the rest by another backend.
class PartlyMapped final : public Backend {
 public:
  struct Area {
    uint64_t offset;
    uint64_t length;
    std::unique_ptr<Mapped> mapped;
  };
  // `areas`, at least one, ascend and do not overlap. All have one kernel, and what it copies is counted for the
  // region.
  PartlyMapped(std::vector<Area> areas, std::unique_ptr<Backend> rest);

  bool mayRunScript(bool stores, uint64_t offset, uint64_t length) const override {
    return rest_->mayRunScript(stores, offset, length);
  }
  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  void fence() override;

 private:
  struct Place {
    Backend* backend;
    uint64_t offset;
  };
  Place at(uint64_t offset, uint64_t length) const;

  const std::vector<Area> areas_;
  const std::unique_ptr<Backend> rest_;
};

}  // namespace ismio
