// A module of workloads, as a user writes one.
export const ownSuite = `
export const workloads = [{
  name: 'mine/store/plain',
  title: 'four stores into an emulated region',
  operations: 4,
  bytes: 32,
  windowBytes: 0,
  open(engine) {
    const region = engine.emulate({ size: 4096 });
    return {
      batch() {
        for (let word = 0; word < 4; word++) region.store64(word * 8, 1n);
      },
      counters: () => region.stats(),
      close: () => region.close(),
    };
  },
}];
`;
