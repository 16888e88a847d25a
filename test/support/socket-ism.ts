// Two drivers whose streams of records go by a socket and not by a fabric, for ends on machines of different byte orders: a
// fabric's memory and the protocol of its sockets are of one machine. Records are framed as in streams of ISM.
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Ism } from 'ismio/ism';

class RecordStream extends Duplex {
  readonly remoteGid: bigint;
  readonly #socket: Socket;
  #came = Buffer.alloc(0);

  constructor(socket: Socket, remoteGid: bigint) {
    super({ objectMode: true, allowHalfOpen: true });
    this.remoteGid = remoteGid;
    this.#socket = socket;
    socket.on('data', (bytes) => this.#take(bytes));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(record: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(record.length);
    this.#socket.write(Buffer.concat([header, record]), done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(bytes: Buffer): void {
    this.#came = Buffer.concat([this.#came, bytes]);
    while (this.#came.length >= 4 && this.#came.length >= 4 + this.#came.readUInt32BE()) {
      const end = 4 + this.#came.readUInt32BE();
      if (!this.push(this.#came.subarray(4, end))) this.#socket.pause();
      this.#came = this.#came.subarray(end);
    }
  }
}

/** The driver of one end of the socket at `path`: as much of it as consoles use. */
export function socketIsm(path: string, gid: bigint, peer: bigint): Ism {
  const driver = {
    gid,
    closed: false,
    async connect() {
      const socket = connect({ path, allowHalfOpen: true });
      await once(socket, 'connect');
      return new RecordStream(socket, peer);
    },
    listen(_port: number, _options: unknown, listener: (stream: RecordStream) => void) {
      const server = createServer({ allowHalfOpen: true }, (socket) => listener(new RecordStream(socket, peer)));
      return server.listen({ path });
    },
    close() {
      this.closed = true;
    },
  };
  return Object.assign(new EventEmitter(), driver) as unknown as Ism;
}
