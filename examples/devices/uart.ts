// A 16550A without its bus: registers, FIFOs and interrupts, for whoever has registers loaded and stored, and a line behind it.
// Source: National Semiconductor PC16550D, Universal Asynchronous Receiver/Transmitter with FIFOs, 8.
//
// The line takes no time: a byte is sent in the moment it is stored, unless the line cannot take it. No byte has wrong parity or
// framing, and breaks are not sent. Bytes come in while there is room and the driver requests them (RTS), so none is lost; in
// loopback mode, where the driver is at both ends, the 17th is.
import type { Width } from 'ismio/device';
import { cause, fifoBytes, latchMap, uartMap } from './serial-registers.js';

/** What the port is wired to. */
export interface Line {
  /** Takes a byte that is sent; false where it cannot now, and then `uart.flow` is called when it can. */
  send(byte: number): boolean;
  /** There may be room again for a byte that `uart.receive` refused. */
  room(): void;
  /** The level of the interrupt. */
  interrupt(up: boolean): void;
}

const { interruptEnable, fifoControl, lineControl, modemControl, lineStatus, modemStatus } = uartMap.bits;
/** Of the received bytes, how many make an interrupt, by `trigger`. */
const triggers = [1, 4, 8, 14] as const;
const noInterrupt = uartMap.bits.interruptId.none;

export class Uart {
  readonly #line: Line;
  readonly #values = uartMap.values();
  readonly #latch = latchMap.values();
  readonly #port = uartMap.handlers({
    values: this.#values,
    load: {
      received: () => this.#taken(),
      interruptId: () => this.#identified(),
      lineStatus: () => this.#lineStatus(),
      modemStatus: () => this.#modemStatus(),
    },
    store: {
      transmit: (byte) => this.#transmit(byte),
      interruptEnable: (value, before) => this.#enabled(value, before),
      fifoControl: (value, before) => this.#fifos(value, before),
      modemControl: () => this.#modem(),
    },
    otherwise: 'ones',
  });
  readonly #divisor = latchMap.handlers({ values: this.#latch });
  #received: number[] = [];
  #sending: number[] = [];
  /** Interrupts that stay until they are told: the transmitter has become empty, and a byte was lost. */
  #emptied = false;
  #overrun = false;
  /** What of the modem's lines has changed since the driver looked, in the bits of the status. */
  #changes = 0;
  #modemLines: number;
  #carrier = true;
  #interrupts = false;

  constructor(line: Line) {
    this.#line = line;
    this.#modemLines = this.#linesNow();
  }

  load(offset: number, width: Width): number {
    return this.#registers(offset).load(offset, width) as number;
  }

  store(offset: number, value: number | bigint, width: Width): void {
    this.#registers(offset).store(offset, value, width);
  }

  /** A byte comes in by the line; false where it has to wait until `line.room`. */
  receive(byte: number): boolean {
    const ready = (this.#values.modemControl & modemControl.requestToSend) !== 0;
    if (!ready || this.#loops || this.#received.length >= this.#depth) return false;
    this.#received.push(byte);
    this.#update();
    return true;
  }

  /** The line takes bytes again. */
  flow(): void {
    while (this.#sending.length > 0 && this.#line.send(this.#sending[0] as number)) {
      this.#sending.shift();
      if (this.#sending.length === 0) this.#emptied = true;
    }
    this.#update();
  }

  /** Whether somebody is at the other end, as carrier and data set ready tell the driver. */
  carrier(there: boolean): void {
    this.#carrier = there;
    this.#modem();
  }

  reset(): void {
    uartMap.reset(this.#values);
    latchMap.reset(this.#latch);
    this.#received = [];
    this.#sending = [];
    this.#emptied = this.#overrun = false;
    this.#modemLines = this.#linesNow();
    this.#changes = 0;
    this.#update();
  }

  #registers(offset: number) {
    return (this.#values.lineControl & lineControl.latch) !== 0 && offset < 2 ? this.#divisor : this.#port;
  }

  get #loops(): boolean {
    return (this.#values.modemControl & modemControl.loop) !== 0;
  }

  get #fifo(): boolean {
    return (this.#values.fifoControl & fifoControl.enable) !== 0;
  }

  /** Without FIFOs, one byte is held each way. */
  get #depth(): number {
    return this.#fifo ? fifoBytes : 1;
  }

  #taken(): number {
    const byte = this.#received.shift() ?? 0;
    this.#update();
    this.#line.room();
    return byte;
  }

  #transmit(byte: number): void {
    this.#emptied = false;
    if (this.#loops) this.#looped(byte);
    else if (this.#sending.length < this.#depth) this.#sending.push(byte);
    this.flow();
  }

  #looped(byte: number): void {
    if (this.#received.length < this.#depth) this.#received.push(byte);
    else this.#overrun = true;
    this.#emptied = true;
  }

  /** Asking for the interrupt of an empty transmitter raises it where it is empty already. */
  #enabled(value: number, before: number): void {
    if ((value & ~before & interruptEnable.empty) !== 0 && this.#sending.length === 0) this.#emptied = true;
    this.#update();
  }

  /** Without `enable` none of the others counts; both FIFOs are cleared when it changes. */
  #fifos(value: number, before: number): void {
    const enable = value & fifoControl.enable;
    const changed = enable !== (before & fifoControl.enable);
    if (enable === 0) this.#values.fifoControl = 0;
    if (changed || (enable !== 0 && (value & fifoControl.clearReceived) !== 0)) this.#received = [];
    if (changed || (enable !== 0 && (value & fifoControl.clearTransmit) !== 0)) {
      if (this.#sending.length > 0) this.#emptied = true;
      this.#sending = [];
    }
    this.#update();
    this.#line.room();
  }

  /** In loopback mode, what the driver sets is what it sees. */
  #linesNow(): number {
    const { clearToSend, dataSetReady, ring, carrier } = modemStatus;
    if (!this.#loops) return this.#carrier ? clearToSend | dataSetReady | carrier : clearToSend;
    const control = this.#values.modemControl;
    return (
      ((control & modemControl.requestToSend) !== 0 ? clearToSend : 0) |
      ((control & modemControl.terminalReady) !== 0 ? dataSetReady : 0) |
      ((control & modemControl.out1) !== 0 ? ring : 0) |
      ((control & modemControl.out2) !== 0 ? carrier : 0)
    );
  }

  #modem(): void {
    const before = this.#modemLines;
    const now = this.#linesNow();
    this.#modemLines = now;
    const changed = ((before ^ now) & ~modemStatus.ring) >>> 4;
    this.#changes |= changed | ((before & ~now & modemStatus.ring) !== 0 ? modemStatus.ringEnded : 0);
    this.#update();
    this.#line.room();
  }

  #lineStatus(): number {
    const { ready, overrun, empty, idle } = lineStatus;
    const value =
      (this.#received.length > 0 ? ready : 0) |
      (this.#overrun ? overrun : 0) |
      (this.#sending.length === 0 ? empty | idle : 0);
    this.#overrun = false;
    this.#update();
    return value;
  }

  #modemStatus(): number {
    const value = this.#modemLines | this.#changes;
    this.#changes = 0;
    this.#update();
    return value;
  }

  /** Of the interrupts that are enabled and wait, the first in the order of their priority; null for none. */
  #cause(): number | null {
    const enabled = this.#values.interruptEnable;
    const held = this.#received.length;
    const trigger = this.#fifo ? (triggers[this.#values.fifoControl >> 6] as number) : 1;
    if ((enabled & interruptEnable.line) !== 0 && this.#overrun) return cause.line;
    if ((enabled & interruptEnable.received) !== 0 && held >= trigger) return cause.received;
    // Fewer bytes than that are told when no more come for a while: on this line, at once.
    if ((enabled & interruptEnable.received) !== 0 && held > 0) return cause.idle;
    if ((enabled & interruptEnable.empty) !== 0 && this.#emptied) return cause.empty;
    return (enabled & interruptEnable.modem) !== 0 && this.#changes !== 0 ? cause.modem : null;
  }

  /** Who is told that the transmitter is empty knows: that one does not wait any longer. */
  #identified(): number {
    const found = this.#cause();
    if (found === cause.empty) this.#emptied = false;
    this.#update();
    return (found === null ? noInterrupt : found << 1) | (this.#fifo ? uartMap.bits.interruptId.fifo : 0);
  }

  #update(): void {
    const up = this.#cause() !== null;
    if (up === this.#interrupts) return;
    this.#interrupts = up;
    this.#line.interrupt(up);
  }
}
