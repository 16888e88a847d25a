// A producer that is faster than its device: a full queue is a value, and the producer waits for it. Memory stays within the
// queue's depth, whatever comes.
//
//     node dist/examples/backpressure.js
import { emulate } from 'ismio';

/** Records of 64 bytes, faster than any device takes them. */
async function* records(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield new Uint8Array(64).fill(i);
}

using region = emulate({ size: 2 ** 20, cost: { storeBlock: 1000 } });
using queue = region.queue({ depth: 256, merge: 'adjacent' });
let offset = 0;
let waits = 0;
for await (const record of records(10_000)) {
  while (!queue.write(offset, record)) {
    await queue.drain(); // the event loop is free meanwhile
    waits++;
  }
  offset = (offset + record.length) % region.size;
}
await queue.drain();
const { storeBlocks, bytes } = region.stats();
console.log(`${bytes} bytes went out as ${storeBlocks} store blocks; the producer waited ${waits} times`);
