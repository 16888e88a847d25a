// A terminal into a region: what a session shows comes in on standard input, at its own pace, and goes into the ring of a
// console in 8-byte stores; then the doorbell rings: a 4-byte store that says up to where there is something to show.
import { emulate } from 'ismio';

const doorbell = 0;
const ringAt = 4096;
const ringBytes = 4096;

// The registers of a console: nothing may be merged.
const region = emulate({ size: 8192, name: 'console', rules: { merge: 'registers' } });
const queue = region.queue({ depth: ringBytes / 8 });
const word = Buffer.alloc(8);
let tail = 0;

for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
  for (let at = 0; at < chunk.length; at += 8) {
    const part = chunk.subarray(at, at + 8);
    word.fill(0).set(part);
    while (!queue.storeWords(ringAt + (tail % ringBytes), word.readUInt32LE(0), word.readUInt32LE(4))) queue.submit();
    tail += 8;
  }
  queue.fence();
  queue.submit();
  region.store32(doorbell, tail);
}
region.close();
