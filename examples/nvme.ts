// A driver for NVMe disks, in user space: identifies a controller, reads blocks, writes them, and looks whether what was written
// is there. Build the checkout, give the disk to VFIO (nothing of it may be mounted), and run it:
//
//   npx ismio bind 0000:01:00.0
//   node dist/examples/nvme.js 0000:01:00.0                          what it is
//   node dist/examples/nvme.js 0000:01:00.0 read 0 8 > blocks        8 blocks from block 0 on
//   node dist/examples/nvme.js 0000:01:00.0 write 0 < blocks         what is there before is lost
//   node dist/examples/nvme.js 0000:01:00.0 verify 0 2048            writes random bytes and reads them back: the same
//   npx ismio unbind 0000:01:00.0
//
// --poll looks for completions instead of waiting for interrupts. The driver itself is in nvme/: `controller.ts` sets the
// controller up and cuts transfers into commands, `queue.ts` is a pair of queues, `registers.ts` has what the specification calls
// things.
import { randomFillSync } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { NvmeController } from './nvme/controller.js';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { poll: { type: 'boolean' } } });
const [bdf, action = 'identify', ...numbers] = positionals;
const [block = 0, count = 1] = numbers.map(Number);
if (bdf === undefined)
  throw new Error('usage: nvme.js BDF [identify | read BLOCK COUNT | write BLOCK | verify BLOCK COUNT] [--poll]');

const disk = await NvmeController.open(bdf, { wait: values.poll === true ? 'poll' : 'interrupt' });
try {
  await actionOf(action)();
} finally {
  await disk.close();
}

function actionOf(name: string): () => Promise<void> {
  const actions: Record<string, () => Promise<void>> = { identify: told, read, write, verify };
  const found = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (found === undefined) throw new Error(`no action is called ${name}; there are ${Object.keys(actions).join(', ')}`);
  return found;
}

async function told(): Promise<void> {
  const { serial, model, firmware } = disk.controller;
  const { blocks, blockBytes } = disk.namespace;
  console.log(`${model}, serial ${serial}, firmware ${firmware}: ${blocks} blocks of ${blockBytes} bytes`);
}

async function read(): Promise<void> {
  const length = count * disk.namespace.blockBytes;
  const target = disk.allocate(length);
  await disk.read(block, target, length);
  process.stdout.write(target.buffer.slice(0, length));
}

async function write(): Promise<void> {
  const bytes = await buffer(process.stdin);
  const source = disk.allocate(bytes.length);
  source.buffer.set(bytes);
  await disk.write(block, source, bytes.length);
  await disk.flush();
}

async function verify(): Promise<void> {
  const length = count * disk.namespace.blockBytes;
  const source = disk.allocate(length);
  const target = disk.allocate(length);
  randomFillSync(source.buffer);
  const began = performance.now();
  await disk.write(block, source, length);
  await disk.flush();
  await disk.read(block, target, length);
  const seconds = (performance.now() - began) / 1000;
  const same = Buffer.compare(source.buffer.subarray(0, length), target.buffer.subarray(0, length)) === 0;
  if (!same) throw new Error(`blocks ${block} to ${block + count - 1} do not hold what was written`);
  console.log(
    `${count} blocks hold what was written; ${((2 * length) / seconds / 2 ** 20).toFixed(1)} MiB/s there and back`,
  );
}
