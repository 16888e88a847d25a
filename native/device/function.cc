#include "device/function.h"

#include <algorithm>
#include <cerrno>

namespace ismio::device {

Function::Stretch Function::stretchAt(uint32_t bar, uint64_t offset, uint64_t length) const {
  if (bar >= kBars) return {nullptr, length};
  const std::vector<Area>& areas = bars[bar].areas;
  const auto after =
      std::ranges::upper_bound(areas, offset, {}, [](const Area& area) -> uint64_t { return area.offset; });
  if (after != areas.begin()) {
    const Area& area = *std::prev(after);
    const uint64_t within = offset - area.offset;
    if (within < area.length) return {area.base() + within, std::min(length, area.length - within)};
  }
  const uint64_t rest = after == areas.end() ? length : std::min(length, after->offset - offset);
  return {nullptr, rest, bars[bar].engine.get()};
}

bool Function::asksScript(uint32_t bar, bool stores, uint64_t offset, uint64_t length) const {
  for (uint64_t done = 0; done < length;) {
    const Stretch stretch = stretchAt(bar, offset + done, length - done);
    if (stretch.memory == nullptr && (!stores || stretch.engine == nullptr)) return true;
    done += stretch.length;
  }
  return false;
}

uint8_t* Function::memoryAt(uint32_t bar, uint64_t offset, uint64_t length) const {
  const Stretch stretch = stretchAt(bar, offset, length);
  return stretch.length == length ? stretch.memory : nullptr;
}

Engine* Function::lender() const {
  for (const Bar& bar : bars) {
    if (bar.engine != nullptr && bar.engine->lends()) return bar.engine.get();
  }
  return nullptr;
}

int32_t Function::dmaRead(uint64_t iova, uint8_t* target, uint64_t length) const {
  return masters.load() ? dma.read(iova, target, length) : EPERM;
}

int32_t Function::dmaWrite(uint64_t iova, const uint8_t* source, uint64_t length) const {
  return masters.load() ? dma.write(iova, source, length) : EPERM;
}

}  // namespace ismio::device
