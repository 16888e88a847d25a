// A database mirrored into a region while it is being filled: strace tells on standard input what sqlite3 writes to its
// file, and every such write goes out through a queue; where sqlite waits for the disk, the queue is drained. In the end
// the region is compared with the file.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { emulate } from 'ismio';

const [path = ''] = process.argv.slice(2);
const region = emulate({ size: 2 ** 24, name: 'database' });
const queue = region.queue({ depth: 256, bytes: 2 ** 21, merge: 'adjacent' });

// 123 pwrite64(3</tmp/x/readings.db>, "\x53\x51..", 4096, 8192) = 4096
const write = /pwrite64\(\d+<([^>]*)>, "((?:\\x[0-9a-f]{2})*)", \d+, (\d+)\)\s+= \d+/;
const sync = /f(?:data)?sync\(\d+<([^>]*)>\)\s+= 0/;

for await (const line of createInterface({ input: process.stdin })) {
  const [, target, bytes = '', offset = '0'] = write.exec(line) ?? [];
  if (target !== undefined && unescaped(target) === path) {
    const source = Buffer.from(bytes.replaceAll('\\x', ''), 'hex');
    while (!queue.write(Number(offset), source)) queue.submit();
  } else if (unescaped(sync.exec(line)?.[1] ?? '') === path) {
    queue.fence();
    await queue.drain();
  }
}
await queue.drain();

const file = readFileSync(path);
const mirror = Buffer.alloc(file.length);
region.read(0, mirror);
region.close();
if (!mirror.equals(file)) throw new Error(`the region is not what is in ${path}`);

/** With -xx, strace writes paths as it writes bytes. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
