#include "backend/vfio/vfio.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "vfio/kernel.h"

namespace ismio {
namespace {

// A pread of up to a page: one call into the kernel, and still only some 500 loads until a stop is seen. Where one of
// them fails, the kernel does not say how many were made before it (ism/main.c and vfio_pci_rdwr.c return the error).
// Loads of registers may have effects, so there each is a call of its own.
constexpr uint64_t kLoadsTogether = 512;
uint64_t loadsAtOnce(const Rules& rules) { return rules.mergeable ? kLoadsTogether : 1; }

// What an access that moved nothing, or not all, means. The kernel turns every condition code but 0 into EIO and a
// specification exception into ENXIO (arch/s390/pci/pci_insn.c); vfio-pci says EIO when memory decode is off.
Status refused(vfio::Answer answer, Failure& failure) {
  failure.errorNumber = answer < 0 ? static_cast<int32_t>(-answer) : EIO;
  return failure.errorNumber == EIO ? Status::deviceError : Status::systemError;
}

}  // namespace

std::shared_ptr<Descriptor> Descriptor::duplicate(int descriptor, int& errorNumber) {
  const vfio::Answer answer = vfio::duplicate(descriptor);
  if (answer >= 0) return std::shared_ptr<Descriptor>(new Descriptor(static_cast<int>(answer)));
  errorNumber = static_cast<int>(-answer);
  return nullptr;
}

Descriptor::~Descriptor() { vfio::close(number_); }

Vfio::Vfio(std::shared_ptr<Descriptor> device, uint64_t base, const Rules& rules)
    : Backend(1, loadsAtOnce(rules)), device_(std::move(device)), base_(base), rules_(rules) {}

Status Vfio::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const vfio::Answer answer = vfio::pread(device_->number(), target, width, base_ + offset);
  return answer == width ? Status::ok : refused(answer, failure);
}

Status Vfio::loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  const vfio::Answer answer = vfio::pread(device_->number(), target, words * 8, base_ + offset);
  done = answer < 0 ? 0 : static_cast<uint64_t>(answer) / 8;
  if (done == words) return Status::ok;
  if (answer < 0 && words > 1) failure.unknownLoads = words;
  return refused(answer, failure);
}

// A function that refuses a store by a rule of store blocks has a driver that makes one of every store.
Status Vfio::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  const Status status = put(offset, source, width, failure);
  if (status == Status::ruleBroken) failure.rule = Rule::singleStores;
  return status;
}

Status Vfio::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  failure.rule = broken(rules_, offset, length);
  if (failure.rule == Rule::none) return put(offset, source, length, failure);
  failure.errorNumber = errorNumberOf(failure.rule);
  return Status::ruleBroken;
}

// One pwrite. ENXIO is what a strict function answers to what breaks a rule of alignment, whatever the region was
// opened with; to anything else it is the kernel's.
Status Vfio::put(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const vfio::Answer answer = vfio::pwrite(device_->number(), source, length, base_ + offset);
  if (answer == length) return Status::ok;
  const Status status = refused(answer, failure);
  if (failure.errorNumber != ENXIO) return status;
  Rules strict = rules_;
  strict.alignment = Alignment::strict;
  failure.rule = broken(strict, offset, length);
  return failure.rule == Rule::none ? status : Status::ruleBroken;
}

// System calls are made one after the other, and each has made its accesses when it returns.
void Vfio::fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

PartlyMapped::PartlyMapped(std::vector<Area> areas, std::unique_ptr<Backend> rest)
    : Backend(1, 1, areas.front().mapped->sourceAlignment), areas_(std::move(areas)), rest_(std::move(rest)) {}

// Areas begin and end at pages, so an access of up to a page that starts in one and is legal ends in it; one that is
// not goes where it is refused.
PartlyMapped::Place PartlyMapped::at(uint64_t offset, uint64_t length) const {
  const auto after = std::upper_bound(areas_.begin(), areas_.end(), offset,
                                      [](uint64_t place, const Area& area) { return place < area.offset; });
  if (after != areas_.begin()) {
    const Area& area = *std::prev(after);
    const uint64_t within = offset - area.offset;
    if (within < area.length && length <= area.length - within) return {area.mapped.get(), within};
  }
  return {rest_.get(), offset};
}

Status PartlyMapped::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  const Place place = at(offset, width);
  return place.backend->load(place.offset, target, width, failure);
}

Status PartlyMapped::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  const Place place = at(offset, width);
  return place.backend->store(place.offset, source, width, failure);
}

Status PartlyMapped::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Place place = at(offset, length);
  return place.backend->storeBlock(place.offset, source, length, failure);
}

void PartlyMapped::fence() {
  for (const Area& area : areas_) area.mapped->fence();
  rest_->fence();
}

}  // namespace ismio
