// A serial port: a 16550A behind PCI, which Linux's own driver takes (8250_pci), and `terminal`, a stream that is the other end
// of its line. It shows a device with an interrupt by pin, registers that change places, and bytes that wait for a slow reader.
//
//   npx ismio serve --example serial --socket /tmp/serial.sock        the terminal is where this runs
//   qemu-system-x86_64 .. -device '{"driver": "vfio-user-pci", "socket": {"type": "unix", "path": "/tmp/serial.sock"}}'
//
// In the guest it is a ttyS of its own: `agetty ttyS4 115200`, or `console=ttyS4`. By class alone, 8250_pci takes ports in I/O
// space only; one in memory needs an id that it knows. This is the id of the port that EC2's machines have, which is a plain
// 16550A in BAR 0 (Linux drivers/tty/serial/8250/8250_pci.c, pbn_b0_1_115200).
import { Duplex } from 'node:stream';
import { type Device, defineDevice } from 'ismio/device';
import { Uart } from './uart.js';

export interface SerialDevice extends Device {
  /**
   * The other end of the line. It gives what the driver sends; nothing is lost where nobody reads, the driver waits. What is
   * written to it the driver receives, when it is ready to (RTS). Ended, the carrier is gone: the driver sees a hang-up.
   */
  readonly terminal: Duplex;
}

export function serial(): SerialDevice {
  const terminal = new Terminal();
  const uart = new Uart({
    send: (byte) => terminal.send(byte),
    room: () => terminal.feed(),
    interrupt(up) {
      if (!device.closed) device.level(up);
    },
  });
  terminal.connect(uart);
  const device = defineDevice({
    name: 'serial port',
    vendor: 0x1d0f,
    device: 0x8250,
    classCode: 0x070002, // serial controller, 16550
    regions: {
      0: {
        size: 4096,
        load: (offset, width) => uart.load(offset, width),
        store: (offset, value, width) => uart.store(offset, value, width),
      },
    },
    interrupts: { intx: true },
    reset: () => uart.reset(),
  });
  return Object.assign(device, { terminal });
}

/** So many bytes make a chunk of their own. */
const chunkBytes = 4096;

class Terminal extends Duplex {
  #uart: Uart | null = null;
  /** Sent, and not given to the stream yet: what is sent in one turn of the event loop is one chunk. */
  #sent: number[] = [];
  #pushing: NodeJS.Immediate | null = null;
  /** The stream has enough for now. */
  #full = false;
  #waiting: Buffer = Buffer.alloc(0);
  #written: (() => void) | null = null;

  connect(uart: Uart): void {
    this.#uart = uart;
  }

  send(byte: number): boolean {
    if (this.#full && this.#sent.length >= chunkBytes) return false;
    this.#sent.push(byte);
    if (!this.#full && this.#sent.length >= chunkBytes) this.#push();
    else this.#pushing ??= setImmediate(() => this.#push());
    return true;
  }

  /** Has the port receive what waits, as far as it has room. */
  feed(): void {
    let fed = 0;
    while (fed < this.#waiting.length && this.#uart?.receive(this.#waiting[fed] as number)) fed++;
    this.#waiting = this.#waiting.subarray(fed);
    if (this.#waiting.length > 0) return;
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    this.#waiting = chunk;
    this.#written = written;
    this.feed();
  }

  override _final(ended: () => void): void {
    this.#uart?.carrier(false);
    ended();
  }

  override _read(): void {
    this.#full = false;
    if (this.#sent.length > 0) this.#pushing ??= setImmediate(() => this.#push());
    this.#uart?.flow();
  }

  #push(): void {
    if (this.#pushing !== null) clearImmediate(this.#pushing);
    this.#pushing = null;
    if (this.#full || this.#sent.length === 0) return;
    const chunk = Buffer.from(this.#sent);
    this.#sent = [];
    this.#full = !this.push(chunk);
  }
}

/** As a program of its own: the terminal is the process's. Control-] ends it. */
export default function onThisTerminal(): SerialDevice {
  const device = serial();
  const { stdin, stdout } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('data', (chunk: Buffer) => {
    if (stdin.isTTY && chunk.includes(0x1d)) process.kill(process.pid, 'SIGINT');
  });
  stdin.pipe(device.terminal, { end: false });
  device.terminal.pipe(stdout);
  return device;
}
