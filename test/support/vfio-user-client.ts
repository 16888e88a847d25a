// A client of vfio-user by hand: it sends what a test says, and knows nothing of the package. Without descriptors.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { endianness } from 'node:os';

export const command = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceInfo: 4,
  regionRead: 9,
  regionWrite: 10,
  dmaRead: 11,
  dmaWrite: 12,
  reset: 13,
} as const;

const flags = { reply: 1, noReply: 16, error: 32 } as const;
const headerBytes = 16;
const little = endianness() === 'LE';

/** Numbers of 2 (`[n]`), 4 (number) and 8 bytes (bigint), and bytes, one behind the other. */
export function pack(...parts: readonly (number | bigint | readonly [number] | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (part instanceof Uint8Array) return part;
      const view = new DataView(new ArrayBuffer(8));
      if (typeof part === 'bigint') view.setBigUint64(0, part, little);
      else if (typeof part === 'number') view.setUint32(0, part, little);
      else view.setUint16(0, part[0], little);
      return new Uint8Array(view.buffer, 0, typeof part === 'bigint' ? 8 : typeof part === 'number' ? 4 : 2);
    }),
  );
}

export interface Received {
  readonly id: number;
  readonly command: number;
  /** 0, or the errno of an error. */
  readonly errno: number;
  readonly body: Buffer;
}

export class RawClient {
  readonly socket: Socket;
  readonly #waiting = new Map<number, (received: Received) => void>();
  #bytes: Buffer = Buffer.alloc(0);
  #id = 0;
  /** Answers what the server asks, with the body of the reply. */
  onAsked: (asked: Received) => Uint8Array = () => new Uint8Array(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      while (this.#take());
    });
    socket.on('error', () => undefined); // the server may have closed: 'close' says so
  }

  static async connect(path: string, negotiates = true): Promise<RawClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    const client = new RawClient(socket);
    if (negotiates) assert.equal((await client.call(command.version, pack([0], [1]))).errno, 0);
    return client;
  }

  call(what: number, body: Uint8Array): Promise<Received> {
    const id = this.#send(what, body, 0);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  post(what: number, body: Uint8Array): void {
    this.#send(what, body, flags.noReply);
  }

  read(region: number, offset: bigint, count: number): Promise<Received> {
    return this.call(command.regionRead, pack(offset, region, count));
  }

  write(region: number, offset: bigint, bytes: Uint8Array): Promise<Received> {
    return this.call(command.regionWrite, pack(offset, region, bytes.length, bytes));
  }

  /** Switches memory decode and bus mastering on. */
  async start(): Promise<this> {
    assert.equal((await this.write(7, 4n, pack([6]))).errno, 0);
    return this;
  }

  async close(): Promise<void> {
    if (this.socket.closed) return;
    this.socket.destroy();
    await once(this.socket, 'close');
  }

  #send(what: number, body: Uint8Array, flag: number): number {
    this.#id = (this.#id + 1) & 0xffff;
    this.socket.write(pack([this.#id], [what], headerBytes + body.length, flag, 0, body));
    return this.#id;
  }

  #take(): boolean {
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    if (view.byteLength < headerBytes || view.byteLength < view.getUint32(4, little)) return false;
    const size = view.getUint32(4, little);
    const flag = view.getUint32(8, little);
    const received: Received = {
      id: view.getUint16(0, little),
      command: view.getUint16(2, little),
      errno: (flag & flags.error) !== 0 ? view.getUint32(12, little) : 0,
      body: Buffer.from(this.#bytes.subarray(headerBytes, size)),
    };
    this.#bytes = this.#bytes.subarray(size);
    if ((flag & flags.reply) === 0) this.#answer(received);
    else {
      const waiting = this.#waiting.get(received.id);
      assert.ok(waiting !== undefined, 'a reply to what was asked');
      this.#waiting.delete(received.id);
      waiting(received);
    }
    return true;
  }

  #answer(asked: Received): void {
    const body = this.onAsked(asked);
    this.socket.write(pack([asked.id], [asked.command], headerBytes + body.length, flags.reply, 0, body));
  }
}
