// What really carries a socket of AF_SMC, as the kernel says it: an echo works over the fall back to TCP as well.
#pragma once

#include <linux/smc_diag.h>

struct Mode {
  int mode;                      // SMC_DIAG_MODE_.., -1 where the kernel names no such socket
  struct smcd_diag_dmbinfo dmb;  // of SMC-D
};

const char* modeName(struct Mode mode);
// Of a socket that is connected. It is known by its own port.
struct Mode modeOf(int connected);
