// Work whose own thread is to end: how soon it is noticed, and how rarely anybody is asked.
#include "exec/lookout.h"

#include <doctest.h>

#include <vector>

#include "exec/issuer.h"
#include "support/batch.h"
#include "support/pause.h"

namespace ismio {
namespace {

class Asked final : public Lookout {
 public:
  explicit Asked(bool ends, const std::atomic<uint32_t>* stop = nullptr) : Lookout(stop), ends_(ends) {}
  int questions = 0;

 private:
  bool threadEnds() override {
    questions++;
    return ends_;
  }
  const bool ends_;
};

// How many accesses of so many nanoseconds go on before the lookout calls them off, `most` at the utmost.
int accessesOf(double nanoseconds, Lookout& lookout, int most) {
  for (int done = 0; done < most; done++) {
    if (lookout.calledOff()) return done;
    pauseFor(nanoseconds);
  }
  return most;
}

TEST_CASE(
    "costly accesses end within two dozen of them once their thread is to end, and none is let through after that") {
  Asked lookout(true);
  CHECK(accessesOf(1e6, lookout, 1000) < 24);
  CHECK(lookout.calledOff());
  CHECK(lookout.calledOff());
}

TEST_CASE("a lookout whose thread goes on asks once a millisecond at most, and lets everything through") {
  Asked lookout(false);
  const double began = nanosecondsNow();
  CHECK(accessesOf(100, lookout, 100'000) == 100'000);
  CHECK(lookout.questions <= (nanosecondsNow() - began) / 1e6);
}

TEST_CASE("short work asks nobody") {
  Asked lookout(true);
  CHECK(accessesOf(0, lookout, 7) == 7);
  CHECK(lookout.questions == 0);
}

TEST_CASE("a flag that another thread raises is seen before the next access, also under a lookout") {
  std::atomic<uint32_t> stop{0};
  Asked lookout(false, &stop);
  CHECK(!lookout.calledOff());
  stop.store(1);
  CHECK(lookout.calledOff());
}

TEST_CASE("an issuer ends a write with `aborted` when its lookout calls it off, and says how far it came") {
  auto recorder = std::make_unique<test::Recorder>(4096, Rules{});
  std::atomic<uint32_t> stop{1};
  Asked lookout(false, &stop);
  const Attachment attachment(test::regionOver(std::move(recorder), 4096, Rules{}));
  Issuer issuer(attachment);
  issuer.watch(Stop(lookout));
  Failure failure;
  const std::vector<uint8_t> bytes(64, 1);
  CHECK(issuer.write(0, bytes.data(), bytes.size(), failure) == Status::aborted);
  CHECK(failure.done == 0);
  issuer.unwatch();
  CHECK(issuer.write(0, bytes.data(), bytes.size(), failure) == Status::ok);
}

}  // namespace
}  // namespace ismio
