// A timeline in the Chrome trace event format, which Perfetto opens: complete events ('X') on one track for each thread,
// arrows between threads ('s' to 'f'), names of tracks ('M'). Times are in microseconds from the first slice on.

export interface Slice {
  readonly thread: string;
  readonly name: string;
  /** Nanoseconds on the clock of process.hrtime. */
  readonly from: number;
  readonly to: number;
  readonly told?: Readonly<Record<string, unknown>>;
}

interface Moment {
  readonly thread: string;
  readonly at: number;
}

export interface TraceEvent {
  readonly ph: 'X' | 'M' | 's' | 'f';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: number;
  readonly bp?: 'e';
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface TraceFile {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ns';
}

const pid = 1;

export class Trace {
  readonly #title: string;
  readonly #threads: string[];
  readonly #slices: Slice[] = [];
  readonly #ends = new Map<string, number>();
  readonly #arrows: { readonly from: Moment; readonly to: Moment }[] = [];

  /** @param first the thread whose track is the first */
  constructor(title: string, first: string) {
    this.#title = title;
    this.#threads = [first];
  }

  /** What was over before it began, because two threads see their clocks a little differently, is left out. */
  slice(slice: Slice): void {
    if (slice.to <= slice.from) return;
    this.#slices.push(slice);
    this.#ends.set(slice.thread, Math.max(slice.to, this.endOf(slice.thread)));
  }

  /** Where the latest slice of a thread ends; 0 where it has none. */
  endOf(thread: string): number {
    return this.#ends.get(thread) ?? 0;
  }

  arrow(from: Moment, to: Moment): void {
    if (to.at >= from.at) this.#arrows.push({ from, to });
  }

  file(): TraceFile {
    const start = this.#slices.reduce((least, { from }) => Math.min(least, from), Number.POSITIVE_INFINITY);
    const microseconds = (at: number): number => Math.round(at - start) / 1000;
    const events: TraceEvent[] = [];
    // What holds another begins with it or before it, and comes first.
    for (const { thread, name, from, to, told } of [...this.#slices].sort((a, b) => a.from - b.from || b.to - a.to)) {
      const tid = this.#tid(thread);
      const where = { ph: 'X' as const, name, cat: 'ismio', pid, tid, ts: microseconds(from) };
      const dur = Math.round((microseconds(to) - microseconds(from)) * 1000) / 1000;
      events.push({ ...where, dur, ...(told === undefined ? {} : { args: told }) });
    }
    for (const [id, { from, to }] of this.#arrows.entries()) {
      const arrow = { name: 'handed over', cat: 'ismio', pid, id };
      events.push({ ph: 's', ...arrow, tid: this.#tid(from.thread), ts: microseconds(from.at) });
      events.push({ ph: 'f', bp: 'e', ...arrow, tid: this.#tid(to.thread), ts: microseconds(to.at) });
    }
    return { traceEvents: [...this.#names(), ...events], displayTimeUnit: 'ns' };
  }

  #tid(thread: string): number {
    const known = this.#threads.indexOf(thread);
    return (known >= 0 ? known : this.#threads.push(thread) - 1) + 1;
  }

  #names(): TraceEvent[] {
    const process: TraceEvent = { ph: 'M', name: 'process_name', pid, tid: 0, args: { name: this.#title } };
    const threads = this.#threads.flatMap((name, i): TraceEvent[] => [
      { ph: 'M', name: 'thread_name', pid, tid: i + 1, args: { name } },
      { ph: 'M', name: 'thread_sort_index', pid, tid: i + 1, args: { sort_index: i } },
    ]);
    return [process, ...threads];
  }
}
