// A driver of a 16550A behind PCI, such as serial.ts has, as a stream: what is written is sent, what comes is read.
//
//   const port = new SerialPort(openVfioUser('/tmp/serial.sock'), { baud: 115_200 });
//   port.write('hello\r\n');
//   for await (const chunk of port) process.stdout.write(chunk);
import { Duplex } from 'node:stream';
import type { PciDevice, Region, VfioIrq } from 'ismio';
import type { RegistersOn } from 'ismio/device';
import { baudBase, cause, fifoBytes, latchMap, uartMap } from './serial-registers.js';

export interface SerialOptions {
  /** Bits per second: 115,200 divided by a whole number. Default 115,200. */
  readonly baud?: number;
}

type Registers = RegistersOn<(typeof uartMap)['registers']>;

/** Whether a 16550A answers there: what is set in loopback mode is seen, and FIFOs can be switched on. */
export function isSerialPort(bar: Region): boolean {
  const { modemControl, modemStatus, fifoControl, interruptId } = uartMap.on(bar);
  modemControl.write({ loop: true, requestToSend: true, out2: true });
  const { clearToSend, dataSetReady, ring, carrier } = modemStatus.read();
  modemControl.write({});
  fifoControl.write({ enable: true });
  return clearToSend && !dataSetReady && !ring && carrier && interruptId.read().fifo === 3;
}

export class SerialPort extends Duplex {
  readonly #bar: Region;
  readonly #registers: Registers;
  readonly #irq: VfioIrq;
  #waiting: Buffer = Buffer.alloc(0);
  #written: (() => void) | null = null;

  /** @throws Error where there is no 16550A in BAR 0 */
  constructor(device: PciDevice, { baud = baudBase }: SerialOptions = {}) {
    super();
    device.enableMemory();
    this.#bar = device.region(0);
    if (!isSerialPort(this.#bar)) throw new Error(`${device.name} has no 16550A in BAR 0`);
    this.#registers = uartMap.on(this.#bar);
    this.#setSpeed(baud);
    const { fifoControl, modemControl, interruptEnable } = this.#registers;
    fifoControl.write({ enable: true, clearReceived: true, clearTransmit: true, trigger: 3 });
    this.#irq = device.irq('intx');
    this.#irq.on('interrupt', () => this.#interrupted());
    this.#irq.enable();
    interruptEnable.write({ received: true, line: true, modem: true });
    modemControl.write({ terminalReady: true, requestToSend: true, out2: true });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    this.#waiting = chunk;
    this.#written = written;
    this.#send();
  }

  /** There is room for what comes: the other end may send. */
  override _read(): void {
    this.#registers.modemControl.change({ requestToSend: true });
  }

  override _destroy(error: Error | null, ended: (error: Error | null) => void): void {
    this.#registers.interruptEnable.write({});
    this.#registers.modemControl.write({});
    this.#irq.disable();
    this.#bar.close();
    ended(error);
  }

  #setSpeed(baud: number): void {
    const divisor = Math.round(baudBase / baud);
    const latch = latchMap.on(this.#bar);
    const { lineControl } = this.#registers;
    lineControl.write({ latch: true });
    latch.low.store(divisor & 0xff);
    latch.high.store(divisor >> 8);
    lineControl.write({ length: 3 }); // 8 bits, no parity, 1 stop bit
  }

  /** Looks for causes until there is none: the pin stays up for the next. Whoever reads may destroy the stream meanwhile. */
  #interrupted(): void {
    while (!this.destroyed) {
      const { none, id } = this.#registers.interruptId.read();
      if (none) break;
      if (id === cause.received || id === cause.idle) this.#receive();
      else if (id === cause.empty) this.#send();
      else if (id === cause.line) this.#registers.lineStatus.load();
      else this.#changed(this.#registers.modemStatus.read());
    }
    if (!this.destroyed) this.#irq.unmask();
  }

  #changed({ carrierChanged, carrier }: ReturnType<Registers['modemStatus']['read']>): void {
    if (carrierChanged && !carrier) this.push(null);
  }

  /** Each byte that is read makes room for another: after a FIFO of them the other end is stopped, and the rest is read. */
  #receive(): void {
    const { lineStatus, received, modemControl } = this.#registers;
    const bytes: number[] = [];
    while (lineStatus.read().ready) {
      bytes.push(received.load());
      if (bytes.length === fifoBytes) modemControl.change({ requestToSend: false });
    }
    const more = this.push(Buffer.from(bytes));
    if (!this.destroyed) modemControl.change({ requestToSend: more });
  }

  /** As many bytes as the FIFO takes; an interrupt tells when it is empty, for the next. */
  #send(): void {
    const { lineStatus, transmit, interruptEnable } = this.#registers;
    while (this.#waiting.length > 0 && lineStatus.read().empty) {
      for (const byte of this.#waiting.subarray(0, fifoBytes)) transmit.store(byte);
      this.#waiting = this.#waiting.subarray(fifoBytes);
    }
    interruptEnable.change({ empty: this.#waiting.length > 0 });
    if (this.#waiting.length > 0) return;
    const written = this.#written;
    this.#written = null;
    written?.();
  }
}
