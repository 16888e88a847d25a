// The guard of mapped memory: what is lost is told, and nothing else, whatever opens and closes beside it; and the
// signal stays other people's too.
#include "backend/mapped/guard.h"

#include <doctest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/random.h"

namespace ismio {
namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// Address space for a mapping, with room on both sides.
uint8_t* reserve(size_t length) {
  void* area = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(area != MAP_FAILED);
  return static_cast<uint8_t*>(area);
}

// A file without a name, mapped in a place.
struct Mapped {
  Mapped(uint8_t* place, size_t length) : base(place), length(length), descriptor(memfd_create("ismio", MFD_CLOEXEC)) {
    REQUIRE(ftruncate(descriptor, static_cast<off_t>(length)) == 0);
    again();
  }
  ~Mapped() { close(descriptor); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  void again() const {
    const int flags = MAP_SHARED | MAP_FIXED;
    REQUIRE(mmap(base, length, PROT_READ | PROT_WRITE, flags, descriptor, 0) != MAP_FAILED);
  }
  void resize(size_t bytes) const { REQUIRE(ftruncate(descriptor, static_cast<off_t>(bytes)) == 0); }
  uint64_t in(size_t offset) const {
    uint64_t word = 0;
    REQUIRE(pread(descriptor, &word, sizeof word, static_cast<off_t>(offset)) == sizeof word);
    return word;
  }

  uint8_t* const base;
  const size_t length;
  const int descriptor;
};

// Not for ThreadSanitizer, which takes a mapping that is replaced for a store to all of it: to find out what then
// becomes of stores beside it is what these tests are for.
[[gnu::no_sanitize("thread"), gnu::noinline]] void storeTo(uint8_t* address, uint64_t value) {
  *reinterpret_cast<volatile uint64_t*>(address) = value;
}

// Opens and closes guards until it is told to stop: of ranges just below, just above, and far away, so that what a
// handler read half of one and half of another would cover, or miss, an address that is another guard's.
class Churn {
 public:
  Churn(uint8_t* below, uint8_t* above, uint8_t* far, size_t farLength)
      : thread_([=, this] {
          for (uint64_t turn = 0; !stop_.load(std::memory_order_relaxed); turn++) {
            Guard guards[3];
            CHECK(guards[turn % 3].watch(below, kPage, kPage) == 0);
            CHECK(guards[(turn + 1) % 3].watch(above, kPage, kPage) == 0);
            CHECK(guards[(turn + 2) % 3].watch(far, farLength, kPage) == 0);
            for (const Guard& guard : guards) wrong_ += guard.lost() ? 1 : 0;
            turns_.fetch_add(1, std::memory_order_relaxed);
          }
        }) {}
  ~Churn() {
    stop_ = true;
    thread_.join();
    CHECK(wrong_ == 0);
  }
  Churn(const Churn&) = delete;
  Churn& operator=(const Churn&) = delete;

  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> turns_{0};
  uint64_t wrong_ = 0;  // read after the thread was joined
  std::thread thread_;
};

TEST_CASE("while guards open and close, every store is in its file or told as lost, and never both wrong") {
  constexpr int kRounds = 4000;
  uint8_t* area = reserve(3 * kPage);
  uint8_t* far = reserve(1u << 30);
  const Mapped file(area + kPage, kPage);
  test::Random random(11);
  Churn first(area, area + 2 * kPage, far, 1u << 30);
  Churn second(area, area + 2 * kPage, far, 1u << 30);
  int told = 0;
  for (uint64_t sequence = 1; sequence <= kRounds; sequence++) {
    const bool gone = random.below(2) == 0;
    file.resize(gone ? 0 : kPage);
    file.again();
    Guard guard;
    REQUIRE(guard.watch(file.base, kPage, kPage) == 0);
    storeTo(file.base + 8, sequence);
    REQUIRE(guard.lost() == gone);
    if (!gone) REQUIRE(file.in(8) == sequence);
    told += gone ? 1 : 0;
  }
  CHECK(told > kRounds / 4);
  CHECK(first.turns() + second.turns() > 100);
}

TEST_CASE("a mapping that another thread loses says so to every store that did not reach the file") {
  constexpr int kRounds = 400;
  uint8_t* area = reserve(2 * kPage);
  for (int round = 0; round < kRounds; round++) {
    const Mapped file(area, 2 * kPage);
    file.resize(kPage);  // the second page is gone
    Guard guard;
    REQUIRE(guard.watch(file.base, 2 * kPage, kPage) == 0);
    std::atomic<bool> storing{false};
    uint64_t reached = 0;
    std::thread storer([&] {
      for (uint64_t sequence = 1;; sequence++) {
        storeTo(file.base, sequence);
        if (guard.lost()) return;
        reached = sequence;
        storing.store(true, std::memory_order_relaxed);
      }
    });
    while (!storing.load(std::memory_order_relaxed)) {}
    storeTo(file.base + kPage, 1);
    REQUIRE(guard.lost());
    storer.join();
    REQUIRE(file.in(0) >= reached);
    REQUIRE(guard.fault().at() == kPage);
    REQUIRE(guard.fault().code() == BUS_ADRERR);
  }
}

// What becomes of a child that does this: its exit code, or minus the signal that ended it.
template <class Work>
int inChild(Work&& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(work());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// A page that is gone, and the guard of another that is healthy.
struct Scene {
  Mapped file{reserve(kPage), kPage};
  Guard guard;
  Scene() {
    CHECK(guard.watch(file.base, kPage, kPage) == 0);
    file.resize(0);
  }
  bool saved() const {
    storeTo(file.base, 1);
    return guard.lost();
  }
};

volatile sig_atomic_t calls = 0;
uint8_t* volatile mendable = nullptr;

void count(int) { calls = calls + 1; }

void mendPlainly(int) {
  calls = calls + 1;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  if (mmap(mendable, kPage, PROT_READ | PROT_WRITE, kFlags, -1, 0) == MAP_FAILED) _exit(1);
}

int install(void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  return sigaction(SIGBUS, &action, nullptr);
}

TEST_CASE("whoever takes SIGBUS away, the guard is in front again once it is armed, and passes on what is sent") {
  CHECK(inChild([] {
          Scene scene;
          if (install(count) != 0 || Guard::again() != 0 || !scene.saved() || calls != 0) return 1;
          raise(SIGBUS);
          return calls == 1 ? 0 : 2;
        }) == 0);
  CHECK(inChild([] {
          Scene scene;
          if (install(SIG_DFL) != 0 || Guard::again() != 0) return 1;
          return scene.saved() ? 0 : 2;
        }) == 0);
}

TEST_CASE("opening another mapping arms the guard as well") {
  CHECK(inChild([] {
          Scene scene;
          if (install(SIG_DFL) != 0) return 1;
          const Scene another;
          return scene.saved() ? 0 : 2;
        }) == 0);
}

TEST_CASE("a fault that is none of ours goes to the handler before us, and by default ends the process") {
  const auto stray = [](void (*handler)(int), int flags) {
    return inChild([=] {
      if (install(handler, flags) != 0) return 1;
      Scene scene;
      const Mapped other(reserve(kPage), kPage);
      other.resize(0);
      mendable = other.base;
      storeTo(other.base, 1);
      return calls == 1 && !scene.guard.lost() ? 0 : 2;
    });
  };
  CHECK(stray(mendPlainly, 0) == 0);
  CHECK(stray(mendPlainly, static_cast<int>(SA_RESETHAND)) == 0);
  CHECK(stray(SIG_DFL, 0) == -SIGBUS);
  CHECK(stray(SIG_IGN, 0) == -SIGBUS);
}

TEST_CASE("a signal that was sent ends the process or is ignored, as it was before us") {
  const auto sent = [](void (*handler)(int)) {
    return inChild([=] {
      if (install(handler) != 0) return 1;
      const Scene scene;
      raise(SIGBUS);
      return scene.saved() ? 0 : 2;
    });
  };
  CHECK(sent(SIG_IGN) == 0);
  CHECK(sent(SIG_DFL) == -SIGBUS);
}

struct sigaction inner;

void passBack(int number, siginfo_t* info, void* context) { inner.sa_sigaction(number, info, context); }

TEST_CASE("two handlers that pass on to each other end the process with the signal, and do not go round for ever") {
  CHECK(inChild([] {
          const Scene scene;
          struct sigaction action = {};
          action.sa_sigaction = passBack;
          action.sa_flags = SA_SIGINFO;
          if (sigaction(SIGBUS, &action, &inner) != 0 || Guard::again() != 0) return 1;
          if (!scene.saved()) return 2;
          const Mapped other(reserve(kPage), kPage);
          other.resize(0);
          storeTo(other.base, 1);
          return 3;
        }) == -SIGBUS);
}

TEST_CASE("errno is what it was before the fault") {
  Scene scene;
  errno = EXDEV;
  CHECK(scene.saved());
  CHECK(errno == EXDEV);
}

}  // namespace
}  // namespace ismio
