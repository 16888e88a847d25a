// The sender's end of a lane: the signals of the function that owns the memory, raised without the fabric.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/mapped/mapped.h"
#include "device/engine.h"
#include "ism/layout.h"

namespace ismio::ism {

class Doorbell {
 public:
  // Takes the eventfd out of the lane. Null where the signals cannot be mapped, as `problem` says.
  static std::unique_ptr<Doorbell> of(device::Lane& lane, File::Problem& problem);
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Behind what was stored. 0; ENODEV where the owner has cut its signals off.
  int32_t ring(uint32_t colour);

 private:
  Doorbell(std::unique_ptr<Mapping> signals, int eventfd, uint32_t index)
      : signals_(std::move(signals)), eventfd_(eventfd), index_(index) {}

  const std::unique_ptr<Mapping> signals_;
  const int eventfd_;
  const uint32_t index_;
};

}  // namespace ismio::ism
