// Stands in for the MIO instructions of IBM Z, which no emulator of user programs knows: each raises SIGILL, and the
// handler does what the instruction would, with ordinary memory as the device. It reads the source at the moment at
// which the instruction would, so it sees what the compiler has really put there.
//
// Instruction formats: Principles of Operation, "Instruction formats"; opcodes as in native/insn/s390x.h.
#pragma once

#if defined(__s390x__)

#include <csignal>
#include <cstdint>
#include <cstring>
#include <ucontext.h>

namespace ismio::test {

class MioUnit {
 public:
  static void install() {
    struct sigaction action = {};
    action.sa_sigaction = onIllegal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, nullptr);
  }

  // What the next instruction answers, once: with a condition code other than 0 it moves nothing.
  static void answerNext(int conditionCode, uint8_t status) {
    conditionCode_ = conditionCode;
    status_ = status;
  }

  // Whether sources are held to what a strict function takes, and how many were not that.
  static inline bool strictSources = false;
  static inline int exceptions = 0;

 private:
  static inline int conditionCode_ = 0;
  static inline uint8_t status_ = 0;

  static uint8_t* pointer(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

  static void onIllegal(int, siginfo_t*, void* context) {
    mcontext_t& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    // The address may be that of the instruction or of the one behind it.
    for (const uint64_t back : {0, 4, 6}) {
      const uint8_t* code = pointer(machine.psw.addr - back);
      const uint64_t length = execute(code, machine.gregs);
      if (length == 0 || (back != 0 && length != back)) continue;
      machine.psw.addr += length - back;
      const uint64_t cc = static_cast<uint64_t>(conditionCode_) << 44;
      machine.psw.mask = (machine.psw.mask & ~(uint64_t{3} << 44)) | cc;
      answerNext(0, 0);
      return;
    }
    signal(SIGILL, SIG_DFL);  // none of ours
  }

  // The length of the instruction that was done; 0 for one that is none of ours.
  static uint64_t execute(const uint8_t* code, unsigned long* registers) {
    if (code[0] == 0xeb && code[5] == 0xd4) return storeBlock(code, registers), 6;
    if (code[0] != 0xb9) return 0;
    const int first = code[3] >> 4, second = code[3] & 15;
    switch (code[1]) {
      case 0xd4: return store(registers[first], &registers[second]), 4;
      case 0xd5: return 4;  // PCIWB
      case 0xd6: return load(registers[first], &registers[second]), 4;
      default: return 0;
    }
  }

  // The request's length register comes back with the status.
  static bool answer(unsigned long& request) {
    if (conditionCode_ == 0) return true;
    request |= static_cast<uint64_t>(status_) << 24;
    return false;
  }

  // PCISTBI R1,R3,D2(B2): R1 length, R3 address, D2(B2) source
  static void storeBlock(const uint8_t* code, unsigned long* registers) {
    const int base = code[2] >> 4;
    const int32_t high = static_cast<int8_t>(code[4]);
    const int64_t displacement = high * 4096 + (code[2] & 15) * 256 + code[3];
    const uint64_t source = (base == 0 ? 0 : registers[base]) + static_cast<uint64_t>(displacement);
    unsigned long& request = registers[code[1] >> 4];
    const uint64_t length = request;
    // A strict function's block from a source that is no multiple of 8 is a specification exception
    // [QEMU hw/s390x/s390-pci-inst.c, pcistb_service_call]. The bytes do not arrive, and a test looks at the count.
    if (strictSources && source % 8 != 0) {
      exceptions++;
      return;
    }
    if (answer(request)) std::memcpy(pointer(registers[code[1] & 15]), pointer(source), length);
  }

  // PCISTGI R1,R2: the rightmost bytes of R1; R2 address, R2+1 length
  static void store(const unsigned long& value, unsigned long* pair) {
    const uint64_t length = pair[1];
    if (answer(pair[1])) std::memcpy(pointer(pair[0]), reinterpret_cast<const uint8_t*>(&value) + 8 - length, length);
  }

  static void load(unsigned long& value, unsigned long* pair) {
    const uint64_t length = pair[1];
    if (!answer(pair[1])) return;
    value = 0;
    std::memcpy(reinterpret_cast<uint8_t*>(&value) + 8 - length, pointer(pair[0]), length);
  }
};

}  // namespace ismio::test

#endif
