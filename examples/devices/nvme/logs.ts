// What the controller remembers: errors, its health, and events that the host waits to be told of (5.2, 5.14).
import { firmware } from './identify.js';
import type { SubmissionQueue } from './queues.js';
import { event, everyNamespace, limit, logPage, outcome } from './specification.js';

const errorBytes = 64;

/** Bytes of each log page. */
const lengths: Readonly<Record<number, number>> = {
  [logPage.errors]: limit.errors * errorBytes,
  [logPage.health]: 512,
  [logPage.firmware]: 512,
};

/** An entry of the log of errors (5.14.1.1). */
interface Mishap {
  readonly number: number;
  readonly queue: number;
  readonly command: number;
  readonly outcome: number;
  readonly block: number;
  readonly namespace: number;
}

export class Logs {
  /** The newest first. */
  readonly #errors: Mishap[] = [];
  #errorCount = 0;
  readonly #began = Date.now();
  /** Commands that wait for an event, by their ids. */
  readonly #waiting: number[] = [];
  /** Events that nobody waited for yet, one of a kind. */
  readonly #untold = new Set<number>();
  /** Events of errors wait until the log of errors is read. */
  #masked = false;
  reads = 0;
  writes = 0;
  bytesRead = 0;
  bytesWritten = 0;
  mediaErrors = 0;
  unsafeShutdowns = 0;

  /** `queue` is null for what is no command's fault. */
  note(queue: SubmissionQueue | null, command: number, how: number, block = 0, namespace = 0): void {
    this.#errorCount++;
    if (how === outcome.unrecoveredRead || how === outcome.writeFault) this.mediaErrors++;
    const mishap = { number: this.#errorCount, queue: queue?.id ?? 0xffff, command, outcome: how, block, namespace };
    this.#errors.unshift(mishap);
    this.#errors.length = Math.min(this.#errors.length, limit.errors);
  }

  /** A command that is completed when there is something to tell. */
  wait(command: number, tell: (command: number, event: number) => void): number {
    if (this.#waiting.length >= limit.events) return outcome.tooManyEvents;
    this.#waiting.push(command);
    this.#tell(tell);
    return outcome.success;
  }

  /** Whether the command waited for an event; it does so no longer. */
  abort(command: number): boolean {
    const at = this.#waiting.indexOf(command);
    if (at >= 0) this.#waiting.splice(at, 1);
    return at >= 0;
  }

  happened(what: number, tell: (command: number, event: number) => void): void {
    this.#untold.add(what);
    this.#tell(tell);
  }

  /** The controller was reset: nobody waits any more. */
  reset(): void {
    this.#waiting.length = 0;
    this.#untold.clear();
    this.#masked = false;
  }

  /** All of a log page, or why it is not told. */
  page(number: number, namespace: number): Uint8Array | number {
    const length = lengths[number];
    if (length === undefined) return outcome.invalidLogPage;
    // None is of one namespace alone.
    if (namespace !== 0 && namespace !== everyNamespace) return outcome.invalidField;
    const data = new Uint8Array(length);
    const view = new DataView(data.buffer);
    if (number === logPage.errors) this.#fillErrors(view);
    else if (number === logPage.health) this.#fillHealth(view);
    else fillFirmware(data);
    return data;
  }

  /** The host has read a page: events that it tells of may come again. */
  read(number: number, tell: (command: number, event: number) => void): void {
    if (number !== logPage.errors) return;
    this.#masked = false;
    this.#tell(tell);
  }

  #tell(tell: (command: number, event: number) => void): void {
    if (this.#masked || this.#waiting.length === 0) return;
    const [what] = this.#untold;
    if (what === undefined) return;
    this.#untold.delete(what);
    this.#masked = true;
    tell(this.#waiting.shift() as number, (what | event.ofErrors) >>> 0);
  }

  #fillErrors(view: DataView): void {
    for (const [i, mishap] of this.#errors.entries()) {
      const at = i * errorBytes;
      view.setBigUint64(at, BigInt(mishap.number), true);
      view.setUint16(at + 8, mishap.queue, true);
      view.setUint16(at + 10, mishap.command, true);
      view.setUint16(at + 12, mishap.outcome << 1, true);
      view.setUint16(at + 14, 0xffff, true); // it is not told where the mistake is
      view.setBigUint64(at + 16, BigInt(mishap.block), true);
      view.setUint32(at + 24, mishap.namespace, true);
    }
  }

  #fillHealth(view: DataView): void {
    const set = (at: number, value: number) => view.setBigUint64(at, BigInt(Math.floor(value)), true);
    view.setUint16(1, 300, true); // kelvin
    view.setUint8(3, 100); // spare, in percent
    view.setUint8(4, 10); // of which that much is needed
    // Thousands of 512 bytes, rounded up (5.14.1.2).
    set(32, Math.ceil(this.bytesRead / 512_000));
    set(48, Math.ceil(this.bytesWritten / 512_000));
    set(64, this.reads);
    set(80, this.writes);
    set(112, 1); // power cycles
    set(128, (Date.now() - this.#began) / 3_600_000);
    set(144, this.unsafeShutdowns);
    set(160, this.mediaErrors);
    set(176, this.#errorCount);
  }
}

/** One slot, which is in use (5.14.1.3). */
function fillFirmware(data: Uint8Array): void {
  data[0] = 1;
  data.set(Buffer.from(firmware.padEnd(8), 'latin1'), 8);
}
