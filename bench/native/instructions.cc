// Runs one scenario of the native core, for whoever counts its instructions.
//
//   instructions --list          the scenarios: a name and the operations of one round on each line
//   instructions NAME            5 rounds after one that warms up; callgrind collects inside of `ismioMeasured` alone
//   instructions --perf NAME     the same, counted by the CPU: prints the instructions that it retired in user mode
//
// Exit codes: 0 done, 1 the scenario went wrong, 2 no such scenario, 3 this machine does not count.
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <linux/perf_event.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core_scenarios.h"

using ismio::bench::Scenario;
using ismio::bench::Work;

namespace {

constexpr int kRounds = 5;

// The CPU's count of instructions of this thread, user mode only.
class InstructionCounter {
 public:
  InstructionCounter() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof(attributes);
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.disabled = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
  }
  ~InstructionCounter() {
    if (file_ >= 0) close(file_);
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;

  bool open() const { return file_ >= 0; }
  void run() const { ioctl(file_, PERF_EVENT_IOC_ENABLE, 0); }
  void pause() const { ioctl(file_, PERF_EVENT_IOC_DISABLE, 0); }
  bool read(uint64_t& count) const { return ::read(file_, &count, sizeof(count)) == sizeof(count); }

 private:
  int file_;
};

const char* whyNot(int error) {
  if (error == ENOENT || error == EOPNOTSUPP) return "the CPU, or the virtual machine around it, has no such counter";
  if (error == EACCES || error == EPERM) return "not allowed; see /proc/sys/kernel/perf_event_paranoid";
  return std::strerror(error);
}

}  // namespace

// A name that callgrind is told. What comes after the call keeps it from becoming a jump, which would have no end.
extern "C" __attribute__((noinline, visibility("default"))) bool ismioMeasured(Work& work) {
  const bool good = work.run();
  asm volatile("" ::: "memory");
  return good;
}

namespace {

int run(const Scenario& scenario, const InstructionCounter* counter) {
  const auto work = scenario.open();
  bool good = true;
  for (int round = 0; good && round <= kRounds; round++) {
    work->prepare();
    if (round == 0) {
      good = work->run();
      continue;
    }
    if (counter != nullptr) counter->run();
    good = ismioMeasured(*work);
    if (counter != nullptr) counter->pause();
  }
  if (!good) {
    std::fprintf(stderr, "%s: an access failed\n", scenario.name);
    return 1;
  }
  uint64_t count = 0;
  if (counter != nullptr && counter->read(count)) std::printf("%" PRIu64 "\n", count);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string last = count > 1 ? arguments[count - 1] : "";
  if (last == "--list") {
    for (const Scenario& scenario : ismio::bench::scenarios()) {
      std::printf("%s %" PRIu64 "\n", scenario.name, scenario.operations * kRounds);
    }
    return 0;
  }
  const bool perf = count == 3 && std::strcmp(arguments[1], "--perf") == 0;
  for (const Scenario& scenario : ismio::bench::scenarios()) {
    if (last != scenario.name) continue;
    if (!perf) return run(scenario, nullptr);
    const InstructionCounter counter;
    if (counter.open()) return run(scenario, &counter);
    std::fprintf(stderr, "perf_event_open: %s\n", whyNot(errno));
    return 3;
  }
  std::fprintf(stderr, "no scenario is named '%s'; --list lists them\n", last.c_str());
  return 2;
}
