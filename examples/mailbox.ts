// A mailbox between two processes: a file in shared memory, mapped by both. One word says how many messages were posted, another
// how many were taken; each has one writer.
//
//     node dist/examples/mailbox.js
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapFile, type Region } from 'ismio';

const posted = 0;
const taken = 64; // in a line of its own: the two writers are on different CPUs
const slots = 4096;
const slotBytes = 64;
const slotCount = 16;

async function post(box: Region, text: string): Promise<void> {
  const count = box.load64(posted);
  while (count - box.load64(taken) === BigInt(slotCount)) await sleep(1); // full
  const message = new Uint8Array(slotBytes);
  new TextEncoder().encodeInto(text, message);
  box.write(slots + (Number(count) % slotCount) * slotBytes, message);
  box.store64(posted, count + 1n); // after the message: it is seen when this is
}

async function take(box: Region): Promise<string> {
  const count = box.load64(taken);
  while (box.load64(posted) === count) await sleep(1); // empty
  const message = new Uint8Array(slotBytes);
  box.read(slots + (Number(count) % slotCount) * slotBytes, message);
  box.store64(taken, count + 1n);
  return new TextDecoder().decode(message.subarray(0, message.indexOf(0)));
}

const [, self = '', path] = process.argv;
if (path !== undefined) {
  using box = mapFile(path, { kind: 'device' });
  for (let i = 0; i < 100; i++) await post(box, `message ${i}`);
} else {
  const folder = mkdtempSync('/dev/shm/ismio-mailbox-');
  try {
    const file = join(folder, 'box');
    writeFileSync(file, '');
    truncateSync(file, 8192);
    using box = mapFile(file, { kind: 'device' });
    const other = fork(self, [file]);
    const ended = once(other, 'exit');
    let last = '';
    for (let i = 0; i < 100; i++) last = await take(box);
    await ended;
    console.log(`100 messages from another process; the last one: ${last}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
