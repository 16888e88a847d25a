// s390x: ordinary instructions do not reach a PCI BAR. Mapped BARs are accessed with the MIO instructions where the
// kernel says so (HWCAP_S390_PCI_MIO, z15 and later), else through two system calls that do it for us. Neither works on
// ISM: there Linux's ism-vfio-pci does the accesses.
#if defined(__s390x__)

#include "insn/s390x.h"

#include <cerrno>
#include <cstring>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "insn/mmio.h"
#include "insn/plain.h"

namespace ismio {
namespace {

constexpr unsigned long kHwcapPciMio = 1ul << 21;  // glibc sysdeps/unix/sysv/linux/s390/bits/hwcap.h
constexpr long kSyscallMmioWrite = 352;            // linux arch/s390/kernel/syscalls/syscall.tbl
constexpr long kSyscallMmioRead = 353;

Status report(s390x::Answer answer, Failure& failure) {
  if (answer.conditionCode == 0) return Status::ok;
  failure.conditionCode = static_cast<uint8_t>(answer.conditionCode);
  failure.deviceStatus = answer.status;
  return answer.conditionCode == 1   ? Status::deviceError
         : answer.conditionCode == 2 ? Status::busy
                                     : Status::invalidHandle;
}

Status report(long result, Failure& failure) {
  if (result == 0) return Status::ok;
  failure.errorNumber = errno;
  return Status::systemError;
}

// Bytes of a register that was loaded or will be stored: right-aligned, most significant byte first in memory.
uint64_t wordOf(const uint8_t* source, uint32_t width) {
  uint64_t word = 0;
  std::memcpy(reinterpret_cast<uint8_t*>(&word) + 8 - width, source, width);
  return word;
}

Status mioLoad(const uint8_t* address, uint8_t* target, uint32_t width, Failure& failure) {
  uint64_t word = 0;
  const Status status = report(s390x::pcilgi(address, width, word), failure);
  if (status == Status::ok) std::memcpy(target, reinterpret_cast<const uint8_t*>(&word) + 8 - width, width);
  return status;
}

Status mioStore(uint8_t* address, const uint8_t* source, uint32_t width, Failure& failure) {
  return report(s390x::pcistgi(address, width, wordOf(source, width)), failure);
}

// Linux makes blocks of at most so many bytes of what it stores to a BAR (ZPCI_MAX_WRITE_SIZE of
// arch/s390/include/asm/pci_io.h); maxstbl of a function is not told where its BARs are mapped through sysfs.
constexpr Rules kMioRules{128, 4096, Alignment::strict};

// PCISTB reads its source at a multiple of 8, as much of it as a page at most: the store crosses none.
// [QEMU hw/s390x/s390-pci-inst.c, pcistb_service_call]
constexpr uint32_t kMioSource = 8;
constexpr uint32_t kLongestBlock = 4096;

// A block that no function takes is refused here: the instruction would end the process.
Status mioStoreBlock(uint8_t* address, const uint8_t* source, uint32_t length, Failure& failure) {
  if (length > kLongestBlock) {
    failure.errorNumber = EINVAL;
    return Status::systemError;
  }
  if (reinterpret_cast<uintptr_t>(source) % kMioSource == 0) {
    return report(s390x::pcistbi(address, source, length), failure);
  }
  alignas(kMioSource) uint8_t aligned[kLongestBlock];
  std::memcpy(aligned, source, length);
  return report(s390x::pcistbi(address, aligned, length), failure);
}

Status callLoad(const uint8_t* address, uint8_t* target, uint32_t width, Failure& failure) {
  return report(syscall(kSyscallMmioRead, address, target, static_cast<unsigned long>(width)), failure);
}

Status callStore(uint8_t* address, const uint8_t* source, uint32_t length, Failure& failure) {
  return report(syscall(kSyscallMmioWrite, address, source, static_cast<unsigned long>(length)), failure);
}

template <Status (*load)(const uint8_t*, uint8_t*, uint32_t, Failure&)>
Status loadWords(const uint8_t* address, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
  for (done = 0; done < words; done++, address += 8, target += 8) {
    const Status status = load(address, target, 8, failure);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

void fence() { asm volatile("bcr 14,0" ::: "memory"); }  // serialisation (Principles of Operation, BRANCH ON CONDITION)

void mioFence() {
  fence();
  s390x::pciwb();
}

constexpr Mmio kMemory = plain::memoryMmio(fence);
constexpr Mmio kMapped = {"s390x 8-byte", true, plain::load, plain::loadWords, plain::store, plain::storeBlock, fence};
constexpr Mmio kMio = {"s390x mio",   false,    mioLoad,   loadWords<mioLoad>, mioStore,
                       mioStoreBlock, mioFence, kMioRules, kMioSource};
constexpr Mmio kCalls = {"s390x system calls", false, callLoad, loadWords<callLoad>, callStore, callStore, fence};

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen = [] {
    const bool mio = (getauxval(AT_HWCAP) & kHwcapPciMio) != 0;
    return Kernels{"s390x", &kMemory, &kMapped, nullptr, mio ? &kMio : &kCalls};
  }();
  return chosen;
}

}  // namespace ismio

#endif
