// A signal ends a process without its 'exit'. A recording is ended first, and then the signal does what it would have done.
import type { Recorder } from './recorder.js';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** Says of a listener that it is one of these: there may be several copies of this package in the process. */
const mark = Symbol.for('ismio.recordingEndsBySignal');

interface Marked {
  [mark]?: true;
}

/** Ends the recording at a signal that nobody else listens for. A program that listens goes on, and decides itself. */
export function endBySignal(recorder: Recorder): void {
  for (const signal of signals) {
    const listener = (): void => {
      const others = process.listeners(signal).filter((one) => one !== listener);
      if (others.some((one) => (one as Marked)[mark] !== true)) return;
      try {
        recorder.close();
      } catch {
        // It was told when it happened.
      }
      process.off(signal, listener);
      if (others.length === 0) process.kill(process.pid, signal); // or the last copy does
    };
    (listener as Marked)[mark] = true;
    process.on(signal, listener);
  }
}
