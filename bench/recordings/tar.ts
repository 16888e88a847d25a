// An archive to a region: what tar writes comes in on standard input, and goes out through a queue, one tar record of
// 10,240 bytes for each operation, as it would go to a tape.
import { allocBuffer, emulate } from 'ismio';

const recordBytes = 10_240;
const recordsInFlight = 16;

const region = emulate({ size: 2 ** 26, name: 'archive' });
const queue = region.queue({ depth: recordsInFlight });
const ring = allocBuffer(recordBytes * recordsInFlight);
let taken = 0;

for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
  for (let used = 0; used < chunk.length; ) {
    const at = taken % ring.length;
    const part = chunk.subarray(used, used + recordBytes - (at % recordBytes));
    ring.set(part, at);
    used += part.length;
    taken += part.length;
    if (taken % recordBytes > 0) continue;
    const written = taken - recordBytes;
    queue.write(written, ring, written % ring.length, recordBytes);
    // The ring is read when it is stored: before it goes round, everything has to be out.
    if (taken % ring.length === 0) await queue.drain();
  }
}
await queue.drain();
region.close();
if (taken % recordBytes > 0) throw new Error(`${taken} bytes are no whole number of records`);
