#include "region/region.h"

#include "support/directory.h"

namespace ismio {
namespace {

Directory<Region>& directory() {
  static auto& all = *new Directory<Region>;  // outlives every thread that may still look something up at exit
  return all;
}

}  // namespace

std::shared_ptr<Region> Region::create(RegionTraits traits, std::unique_ptr<Backend> backend) {
  std::shared_ptr<Region> region(new Region(std::move(traits), std::move(backend)));
  region->id_ = directory().add(region);
  return region;
}

void Region::timeStages(bool on) {
  if (on && !timed()) {
    firstClocks();
    counters_->forgetStages();
  }
  if (on) {
    raised_.fetch_or(kTimed, std::memory_order_relaxed);
  } else {
    raised_.fetch_and(static_cast<uint8_t>(~kTimed), std::memory_order_relaxed);
  }
}

std::shared_ptr<Region> Region::find(uint64_t id) { return directory().find(id); }

Region::~Region() { directory().remove(id_); }

}  // namespace ismio
