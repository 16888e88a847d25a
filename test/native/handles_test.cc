// The table of what a thread holds: every number once, every kind for itself, the order of the end.
#include "binding/handles.h"

#include <doctest.h>

#include <unordered_map>

#include "support/random.h"

namespace ismio::binding {
namespace {

std::vector<uint64_t> gone;  // the names of things, in the order in which they went

template <HandleKind kind>
struct Thing final : Held {
  static constexpr HandleKind kKind = kind;
  explicit Thing(uint64_t given) : name(given) {}
  ~Thing() override { gone.push_back(name); }
  const uint64_t name;
};
using Region = Thing<HandleKind::region>;
using Queue = Thing<HandleKind::queue>;

template <class Made>
uint64_t add(Handles& handles, uint64_t name) {
  return handles.add(std::make_unique<Made>(name));
}

TEST_CASE("a number finds its thing, as its own kind alone, until it is taken") {
  Handles handles;
  const uint64_t region = add<Region>(handles, 1);
  const uint64_t queue = add<Queue>(handles, 2);
  REQUIRE(region != queue);
  CHECK(handles.find<Region>(region)->name == 1);
  CHECK(handles.find<Queue>(queue)->name == 2);
  CHECK(handles.find<Queue>(region) == nullptr);
  CHECK(handles.take<Region>(queue) == nullptr);
  CHECK(handles.size() == 2);
  CHECK(handles.take<Region>(region)->name == 1);
  CHECK(handles.find<Region>(region) == nullptr);
  CHECK(handles.take<Region>(region) == nullptr);
  CHECK(handles.size() == 1);
}

TEST_CASE("numbers that were never given out find nothing") {
  Handles handles;
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{16}, uint64_t{1} << 53, UINT64_MAX}) {
    CHECK(handles.find<Region>(number) == nullptr);
    CHECK(handles.take<Queue>(number) == nullptr);
  }
  const uint64_t number = add<Region>(handles, 1);
  CHECK(handles.find<Region>(number + 16) == nullptr);
  CHECK(handles.find<Region>(number + (uint64_t{1} << 32)) == nullptr);
}

TEST_CASE("a closed number stays closed however many come after it") {
  Handles handles;
  const uint64_t first = add<Region>(handles, 0);
  handles.take<Region>(first);
  for (uint64_t i = 1; i <= 1 << 20; i++) {
    const uint64_t number = add<Region>(handles, i);
    REQUIRE(number > first);
    REQUIRE(handles.find<Region>(first) == nullptr);
    handles.take<Region>(number);
  }
}

TEST_CASE("random opening and closing, against a map") {
  test::Random random(7);
  Handles handles;
  std::unordered_map<uint64_t, uint64_t> open;
  std::vector<uint64_t> numbers;
  uint64_t last = 0;
  for (uint64_t step = 0; step < 200'000; step++) {
    // Grows to some thousands, shrinks to nothing, and so on.
    const bool growing = step / 20'000 % 2 == 0;
    if (random.below(10) < (growing ? 7u : 3u)) {
      const uint64_t number = add<Region>(handles, step);
      REQUIRE(number > last);
      last = number;
      open.emplace(number, step);
      numbers.push_back(number);
    } else if (!numbers.empty()) {
      const uint64_t number = numbers[random.below(numbers.size())];
      const auto expected = open.find(number);
      const auto taken = handles.take<Region>(number);
      REQUIRE((taken != nullptr) == (expected != open.end()));
      if (taken == nullptr) continue;
      REQUIRE(taken->name == expected->second);
      open.erase(expected);
    }
  }
  CHECK(handles.size() == open.size());
  for (const uint64_t number : numbers) {
    const auto expected = open.find(number);
    const Region* found = handles.find<Region>(number);
    REQUIRE((found != nullptr) == (expected != open.end()));
    if (found != nullptr) REQUIRE(found->name == expected->second);
  }
}

TEST_CASE("the end goes from those who use to what is used, and within a kind from the oldest on") {
  gone.clear();
  {
    Handles handles;
    add<Thing<HandleKind::descriptor>>(handles, 60);
    add<Thing<HandleKind::device>>(handles, 50);
    add<Thing<HandleKind::descriptor>>(handles, 61);
    add<Thing<HandleKind::region>>(handles, 30);
    add<Thing<HandleKind::signal>>(handles, 20);
    add<Thing<HandleKind::counts>>(handles, 40);
    add<Thing<HandleKind::queue>>(handles, 10);
    for (uint64_t i = 1; i < 10; i++) add<Region>(handles, 30 + i);
    handles.take<Region>(4);
    gone.clear();
    handles.clear();
    CHECK(handles.size() == 0);
    const std::vector<uint64_t> expected{10, 20, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 50, 60, 61};
    CHECK(gone == expected);
    const uint64_t after = add<Region>(handles, 1);
    CHECK(after > 16);  // also after the end no number comes back
  }
  CHECK(gone.back() == 1);
}

}  // namespace
}  // namespace ismio::binding
