// What this guest cannot show, with the reason.
import { test } from 'node:test';

const unshown = {
  'a device that vanishes without being asked for': 'QEMU asks the guest first; until the device is closed it is there',
  'a limit on the number of mappings of an iommufd': 'Linux has none; it limits locked memory, which is tested',
  'bursts by AVX-512 or MOVDIR64B': 'the emulated CPU has neither; those by SSE2 are tested',
  'what a store to a device takes': 'QEMU answers it at once; no bus, no posted writes',
};

for (const [what, skip] of Object.entries(unshown)) test(what, { skip }, () => {});
