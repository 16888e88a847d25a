// The MIO instructions of IBM Z, one function each: condition code out, everything that is read and written named.
//
//   PCILGI   .insn rre,0xb9d60000,R1,R2   load 1..8 bytes; R2/R2+1 hold address and length, status byte in R2+1
//   PCISTGI  .insn rre,0xb9d40000,R1,R2   store 1..8 bytes; the same pair
//   PCISTBI  .insn rsy,0xeb00000000d4,R1,R3,D2(B2)   store a block; R1 length (status on return), R3 address
// Opcodes and operands: linux arch/s390/pci/pci_insn.c, rdma-core util/s390_mmio_insn.h. The status byte is in bits
// 24..31 of the length register, counted from the least significant (pci_insn.c).
#pragma once

#if defined(__s390x__)

#include <cstdint>

namespace ismio::s390x {

struct Answer {
  int conditionCode;
  uint8_t status;
};

struct AddressAndLength {
  uint64_t address;
  uint64_t length;
};

inline unsigned __int128 pairOf(const volatile void* address, uint64_t length) {
  return static_cast<unsigned __int128>(reinterpret_cast<uint64_t>(address)) << 64 | length;
}

inline Answer answerOf(int conditionCode, uint64_t lengthRegister) {
  return {conditionCode, static_cast<uint8_t>(lengthRegister >> 24)};
}

// Loads `length` (1..8) bytes, right-aligned in `value`.
inline Answer pcilgi(const volatile void* address, uint64_t length, uint64_t& value) {
  unsigned __int128 pair = pairOf(address, length);
  uint64_t loaded = 0;
  int cc;
  asm volatile(
      ".insn rre,0xb9d60000,%[value],%[pair]\n\t"
      "ipm %[cc]\n\t"
      "srl %[cc],28"
      : [cc] "=d"(cc), [value] "+d"(loaded), [pair] "+&d"(pair)
      :
      : "cc", "memory");
  value = loaded;
  return answerOf(cc, static_cast<uint64_t>(pair));
}

// Stores the `length` (1..8) rightmost bytes of `value`.
inline Answer pcistgi(volatile void* address, uint64_t length, uint64_t value) {
  unsigned __int128 pair = pairOf(address, length);
  int cc;
  asm volatile(
      ".insn rre,0xb9d40000,%[value],%[pair]\n\t"
      "ipm %[cc]\n\t"
      "srl %[cc],28"
      : [cc] "=d"(cc), [pair] "+&d"(pair)
      : [value] "d"(value)
      : "cc", "memory");
  return answerOf(cc, static_cast<uint64_t>(pair));
}

// Stores a block. The instruction reads the whole source, so an array of unknown length is its operand: one of
// a single byte, without "memory", lets the compiler drop the stores that filled the rest.
inline Answer pcistbi(volatile void* address, const uint8_t* source, uint64_t length) {
  uint64_t lengthRegister = length;
  int cc;
  asm volatile(
      ".insn rsy,0xeb00000000d4,%[length],%[address],%[source]\n\t"
      "ipm %[cc]\n\t"
      "srl %[cc],28"
      : [cc] "=d"(cc), [length] "+&d"(lengthRegister)
      : [address] "d"(address), [source] "Q"(*reinterpret_cast<const uint8_t(*)[]>(source))
      : "cc", "memory");
  return answerOf(cc, lengthRegister);
}

// Waits until posted MIO stores have been handed to the device.
inline void pciwb() { asm volatile(".insn rre,0xb9d50000,0,0" ::: "memory"); }

}  // namespace ismio::s390x

#endif
