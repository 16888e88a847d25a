// A device of this thread, whose handlers answer by JavaScript.
import type { Region } from 'ismio';
import type * as stack from 'ismio/device';
import type { Engine, Workload } from '../workload.js';

const words = 1024;
const size = 4096;

function store(region: Region): void {
  for (let at = 0; at < words * 4; at += 4) region.store32(at, 0x5a5a5a5a);
}

function load(region: Region): void {
  for (let at = 0; at < words * 4; at += 4) region.load32(at);
}

/** Builds from before there was one are compared with newer ones, too. */
const missing = ({ entries }: Engine): string | null =>
  entries?.['./device'] === undefined ? 'this build has no devices' : null;

interface Access {
  readonly name: string;
  readonly title: string;
  run(region: Region): void;
}

const accesses: readonly Access[] = [
  { name: 'store-4B', title: 'region.store32', run: store },
  { name: 'load-4B', title: 'region.load32', run: load },
];

export const workloads: Workload[] = accesses.map(({ name, title, run }) => ({
  name: `device/${name}/handler`,
  title: `${title}, answered by a handler on this thread`,
  operations: words,
  bytes: words * 4,
  windowBytes: 0,
  missing,
  target: { atLeast: 0.5 },
  floor: {
    title: `${title} of an emulated region`,
    operations: words,
    open(_window, _floors, engine) {
      const region = engine.emulate({ size });
      return { batch: () => run(region), counters: () => region.stats(), close: () => region.close() };
    },
  },
  async open(engine) {
    const { defineDevice } = (await import(engine.entries?.['./device'] as string)) as typeof stack;
    const held = new Uint32Array(words);
    const device = defineDevice({
      vendor: 0x1234,
      device: 0x0001,
      classCode: 0x088000,
      regions: {
        0: {
          size,
          load: (offset) => held[offset / 4] as number,
          store(offset, value) {
            held[offset / 4] = value as number;
          },
        },
      },
    });
    const driver = device.open();
    driver.enableMemory();
    const region = driver.region(0);
    return {
      batch: () => run(region),
      counters: () => region.stats(),
      close() {
        driver.close();
        device.close();
      },
    };
  },
}));
