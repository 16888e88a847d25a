// A console as whoever shows it has it: what `ismio console attach`, recordings and the page in the browser stand on.

/** The size of a terminal. Pixels are 0 where nobody knows them. */
export interface TerminalSize {
  columns: number;
  rows: number;
  xPixels: number;
  yPixels: number;
}

/** Whether keys are taken from there. One writes at a time. */
export type ConsoleRole = 'view' | 'write';

/** What a console tells. */
export interface ConsoleViewEvents {
  /** Output, and the position of its first byte since the line began. */
  data: [bytes: Uint8Array, offset: bigint];
  /** What draws the screen as it is; output goes on at this position. */
  screen: [bytes: Uint8Array, offset: bigint];
  /** Output that is not kept any more: from where, and how many bytes. */
  gap: [from: bigint, bytes: bigint];
  size: [size: TerminalSize];
  /** The role is another one, and why. */
  role: [role: ConsoleRole, reason: string];
  /** What others did, for people. */
  notice: [text: string];
  /** The command ended. */
  exit: [exit: { status: number | null; signal: string | null }];
  state: [state: 'connecting' | 'open' | 'lost'];
  /** Keys are taken again. */
  drain: [];
  close: [];
  error: [error: Error];
}

/** A console that is shown. */
export interface ConsoleView {
  readonly name: string;
  readonly role: ConsoleRole;
  readonly size: TerminalSize;
  on<Event extends keyof ConsoleViewEvents>(event: Event, told: (...values: ConsoleViewEvents[Event]) => void): unknown;
  off<Event extends keyof ConsoleViewEvents>(
    event: Event,
    told: (...values: ConsoleViewEvents[Event]) => void,
  ): unknown;
  /** Sends keys. False: they were not taken, because it looks on, is lost, or is not read fast enough (then 'drain' follows). */
  write(bytes: Uint8Array | string): boolean;
  resize(size: TerminalSize): void;
  sendBreak(): void;
  /** Asks to write, or gives it up. With a reason, whoever writes is made a viewer, and told it. */
  request(role: ConsoleRole, reason?: string): void;
  close(): void;
}
