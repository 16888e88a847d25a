#include "ism/doorbell.h"

#include <cerrno>
#include <unistd.h>
#include <utility>

#include "device/signal.h"
#include "ism/signals.h"

namespace ismio::ism {

std::unique_ptr<Doorbell> Doorbell::of(device::Lane& lane, File::Problem& problem) {
  auto signals = Mapping::of(lane.descriptors[device::Lane::signals], 0, kPage, true, problem);
  if (signals == nullptr) return nullptr;
  device::prepareSignals();
  const int eventfd = std::exchange(lane.descriptors[device::Lane::interrupt], -1);
  return std::unique_ptr<Doorbell>(new Doorbell(std::move(signals), eventfd, lane.index));
}

Doorbell::~Doorbell() { close(eventfd_); }

// The owner may clear its bits as it likes, so it is interrupted each time (Port::raise).
int32_t Doorbell::ring(uint32_t colour) {
  uint8_t* sba = signals_->base();
  raiseMask(sba, index_, static_cast<uint16_t>(1u << colour));
  raiseBit(sba, index_);
  raiseSummary(sba);
  if (signals_->lost()) return ENODEV;
  device::signalEventfd(eventfd_);
  return 0;
}

}  // namespace ismio::ism
