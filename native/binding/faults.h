// The fault plan of a region, as src/region/faults.ts writes it.
#pragma once

#include <vector>

#include "backend/emulated/emulated.h"

namespace ismio::binding {

// A line is eight numbers.
inline std::vector<Fault> faultsIn(const double* rows, size_t length) {
  constexpr size_t kColumns = 8;
  std::vector<Fault> script;
  for (const double* row = rows; row + kColumns <= rows + length; row += kColumns) {
    Fault fault;
    fault.accesses = static_cast<uint8_t>(row[0]);
    fault.nth = static_cast<uint64_t>(row[1]);
    fault.from = static_cast<uint64_t>(row[2]);
    fault.to = static_cast<uint64_t>(row[3]);
    fault.chance = row[4];
    fault.conditionCode = static_cast<uint8_t>(row[5]);
    fault.deviceStatus = static_cast<uint8_t>(row[6]);
    if (row[7] >= 0) fault.times = static_cast<uint64_t>(row[7]);
    script.push_back(fault);
  }
  return script;
}

}  // namespace ismio::binding
