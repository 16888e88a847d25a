// The asm of IBM Z in optimised code: an instruction that reads a block has to find in it every byte that
// the program put there. The compiler drops stores that nobody reads, and all that it knows of an asm is its operands.
#if defined(__s390x__)

#include "insn/s390x.h"

#include <doctest.h>

#include <algorithm>
#include <string>

#include "insn/mmio.h"
#include "support/mio_unit.h"

namespace ismio {
namespace {

using s390x::Answer;
using test::MioUnit;

constexpr uint32_t kMost = 256;

// The trap, for comparison: only the first byte of the source is an operand, and there is no "memory".
inline Answer namesOneByte(volatile void* address, const uint8_t* source, uint64_t length) {
  uint64_t lengthRegister = length;
  int cc;
  asm volatile(
      ".insn rsy,0xeb00000000d4,%[length],%[address],%[source]\n\t"
      "ipm %[cc]\n\t"
      "srl %[cc],28"
      : [cc] "=d"(cc), [length] "+&d"(lengthRegister)
      : [address] "d"(address), [source] "Q"(*source)
      : "cc");
  return s390x::answerOf(cc, lengthRegister);
}

// A caller as drivers write it: a block on the stack, filled byte by byte, handed to the instruction, never looked at
// again. Inlined with the asm, so that the compiler sees all there is to see.
template <uint32_t length, Answer (*storeBlock)(volatile void*, const uint8_t*, uint64_t)>
__attribute__((noinline)) void sendFilled(uint8_t* device, uint8_t first) {
  uint8_t block[length];
#pragma GCC unroll 256
  for (uint32_t i = 0; i < length; i++) block[i] = static_cast<uint8_t>(first + i);
  storeBlock(device, block, length);
}

// How many bytes of the block were not there when the instruction read it.
template <uint32_t length, Answer (*storeBlock)(volatile void*, const uint8_t*, uint64_t)>
uint32_t bytesLost() {
  MioUnit::install();
  uint32_t lost = 0;
  for (const uint8_t first : {0x11, 0x80}) {  // twice: what is left on the stack of the first shows in the second
    uint8_t device[kMost] = {};
    sendFilled<length, storeBlock>(device, first);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < length; i++) wrong += device[i] != static_cast<uint8_t>(first + i);
    lost = std::max(lost, wrong);
  }
  return lost;
}

TEST_CASE("a block store finds every byte of a block that was filled just before") {
  CHECK(bytesLost<1, s390x::pcistbi>() == 0);
  CHECK(bytesLost<8, s390x::pcistbi>() == 0);
  CHECK(bytesLost<15, s390x::pcistbi>() == 0);
  CHECK(bytesLost<16, s390x::pcistbi>() == 0);
  CHECK(bytesLost<64, s390x::pcistbi>() == 0);
  CHECK(bytesLost<255, s390x::pcistbi>() == 0);
  CHECK(bytesLost<256, s390x::pcistbi>() == 0);
}

TEST_CASE("the check above finds what a wrapper loses that names one byte of its source") {
  CHECK(bytesLost<16, namesOneByte>() > 0);
  CHECK(bytesLost<64, namesOneByte>() > 0);
  CHECK(bytesLost<256, namesOneByte>() > 0);
}

TEST_CASE("a block that is filled again between two stores is stored twice, each time as it is then") {
  MioUnit::install();
  uint8_t block[32], device[64] = {};
  std::fill_n(block, 32, uint8_t{1});
  s390x::pcistbi(device, block, 32);
  std::fill_n(block, 32, uint8_t{2});
  s390x::pcistbi(device + 32, block, 32);
  CHECK(std::count(device, device + 32, 1) == 32);
  CHECK(std::count(device + 32, device + 64, 2) == 32);
}

TEST_CASE("memory that an instruction changed is read anew") {
  MioUnit::install();
  uint64_t device = 1;
  const uint64_t before = device;
  s390x::pcistgi(&device, 8, 77);
  CHECK(before == 1);
  CHECK(device == 77);
}

TEST_CASE("condition code and status come out of every instruction") {
  MioUnit::install();
  uint8_t device[16] = {}, block[16] = {9};
  uint64_t value = 5;
  for (const int cc : {1, 2, 3}) {
    const auto status = static_cast<uint8_t>(0x20 + cc);
    const auto isTold = [&](Answer answer) { return answer.conditionCode == cc && answer.status == status; };
    MioUnit::answerNext(cc, status);
    CHECK(isTold(s390x::pcistbi(device, block, 16)));
    MioUnit::answerNext(cc, status);
    CHECK(isTold(s390x::pcistgi(device, 8, 1)));
    MioUnit::answerNext(cc, status);
    CHECK(isTold(s390x::pcilgi(device, 8, value)));
  }
  CHECK(std::count(device, device + 16, 0) == 16);
  CHECK(s390x::pcistbi(device, block, 16).conditionCode == 0);
  CHECK(device[0] == 9);
}

TEST_CASE("loads and stores take the rightmost bytes of the register") {
  MioUnit::install();
  uint8_t device[8] = {};
  s390x::pcistgi(device, 2, 0x11223344);
  CHECK(device[0] == 0x33);
  CHECK(device[1] == 0x44);
  CHECK(device[2] == 0);
  uint64_t value = 0;
  s390x::pcilgi(device, 2, value);
  CHECK(value == 0x3344);
}

TEST_CASE("without the instructions the kernel is asked, and its refusal is an error with errno") {
  if (std::string(kernels().resource->name) != "s390x system calls") return;  // this machine has the instructions
  uint8_t device[8] = {}, bytes[8] = {};
  Failure failure;
  CHECK(kernels().resource->store(device, bytes, 8, failure) == Status::systemError);
  CHECK(failure.errorNumber != 0);
}

}  // namespace
}  // namespace ismio

#endif
