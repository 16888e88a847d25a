// A console without anybody at the other end: a test says what it tells, and sees what it was asked for.
import { EventEmitter } from 'node:events';
import type { ConsoleRole, ConsoleView, ConsoleViewEvents, TerminalSize } from '../../src/console/view.js';

export class FakeConsole extends EventEmitter<ConsoleViewEvents> implements ConsoleView {
  readonly name: string;
  role: ConsoleRole;
  size: TerminalSize;
  /** What was asked of it, in order. */
  readonly asked: unknown[][] = [];
  /** Whether what is written comes back as output. */
  readonly echoes: boolean;
  /** Whether it has no room for keys. */
  isFull = false;
  #position = 0n;

  constructor({ name = 'fake', role = 'write' as ConsoleRole, columns = 80, rows = 24, echoes = false } = {}) {
    super();
    this.name = name;
    this.role = role;
    this.size = { columns, rows, xPixels: 0, yPixels: 0 };
    this.echoes = echoes;
  }

  say(output: string | Uint8Array): void {
    const bytes = Buffer.from(output as Uint8Array);
    this.emit('data', bytes, this.#position);
    this.#position += BigInt(bytes.length);
  }

  lose(bytes: bigint): void {
    this.emit('gap', this.#position, bytes);
    this.#position += bytes;
  }

  write(bytes: Uint8Array | string): boolean {
    if (this.isFull) return false;
    this.asked.push(['write', Buffer.from(bytes as Uint8Array).toString()]);
    if (this.echoes && this.role === 'write') this.say(bytes);
    return true;
  }

  resize(size: TerminalSize): void {
    this.asked.push(['resize', size]);
    this.become(size);
  }

  /** Its size is another one. */
  become(size: Partial<TerminalSize>): void {
    this.size = { ...this.size, ...size };
    this.emit('size', this.size);
  }

  sendBreak(): void {
    this.asked.push(['break']);
  }

  request(role: ConsoleRole, reason?: string): void {
    this.asked.push(['request', role, reason]);
    this.role = role;
    this.emit('role', role, reason ?? '');
  }

  close(): void {
    this.asked.push(['close']);
    this.emit('close');
  }
}
