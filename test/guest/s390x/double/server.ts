// Serves a function to one client at a time over a socket, as vfio-user has it.
import { createServer, type Server, type Socket } from 'node:net';
import type { PciFunction } from './device.js';
import * as wire from './wire.js';
import { Command, errno, IrqIndex, type Message, MessageReader } from './wire.js';

/** Listens at `path` until it is closed. */
export async function serve(fn: PciFunction, path: string): Promise<Server> {
  const server = createServer((socket) => answerAll(fn, socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

function answerAll(fn: PciFunction, socket: Socket): void {
  const reader = new MessageReader();
  let requests = 0;
  socket.on('data', (chunk: Buffer) => {
    for (const message of reader.push(chunk)) {
      if (message.isReply) continue; // what came of reading memory is the guest's to tell
      const address = memoryReadBy(fn, message);
      if (address !== null) socket.write(wire.dmaRead(++requests & 0xffff, address, 8n));
      const answer = answerTo(fn, message);
      if (message.wantsReply) socket.write(answer);
    }
  });
  // A client that is killed resets its connection; there is nobody left to tell.
  socket.on('error', () => socket.destroy());
}

function answerTo(fn: PciFunction, message: Message): Buffer {
  const { payload } = message;
  switch (message.command) {
    case Command.version:
      return wire.reply(message, wire.version());
    case Command.deviceGetInfo:
      return wire.reply(message, wire.deviceInfo());
    case Command.deviceGetRegionInfo: {
      const index = wire.wantedIndex(payload);
      return wire.reply(message, wire.regionInfo(index, fn.size(index)));
    }
    case Command.deviceGetIrqInfo: {
      const index = wire.wantedIndex(payload);
      return wire.reply(message, wire.irqInfo(index, index === IrqIndex.msix ? fn.vectors : 0));
    }
    case Command.regionRead:
      return readRegion(fn, message);
    case Command.regionWrite:
      return writeRegion(fn, message);
    case Command.deviceReset:
      fn.reset();
      return wire.reply(message);
    // The function asks for memory by messages and raises no interrupt, so what it is given for them is of no use to it.
    case Command.dmaMap:
    case Command.deviceSetIrqs:
      return wire.reply(message);
    case Command.dmaUnmap:
      return wire.reply(message, payload);
    default:
      return wire.refusal(message, errno.ENOTSUP);
  }
}

function readRegion(fn: PciFunction, message: Message): Buffer {
  const { region, offset, length } = wire.regionAccess(message.payload);
  const bytes = fn.read(region, offset, length);
  if (bytes === null) return wire.refusal(message, errno.EINVAL);
  return wire.reply(message, wire.regionAnswer(message.payload, bytes));
}

/** Where the function reads memory before it answers. */
function memoryReadBy(fn: PciFunction, { command, payload }: Message): bigint | null {
  if (command !== Command.regionRead) return null;
  const { region, offset } = wire.regionAccess(payload);
  return fn.memoryReadAt(region, offset);
}

function writeRegion(fn: PciFunction, message: Message): Buffer {
  const { region, offset, data } = wire.regionAccess(message.payload);
  if (!fn.write(region, offset, data)) return wire.refusal(message, errno.EINVAL);
  return wire.reply(message, wire.regionAnswer(message.payload));
}
