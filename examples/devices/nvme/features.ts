// Features (5.21): values that the host may set. A reset of the controller sets them back.
import type { Command } from './queues.js';
import { feature, outcome } from './specification.js';

/** What can be asked about a feature: 'saved' is as the default, because nothing is saved. */
const select = { current: 0, fallback: 1, saved: 2, capabilities: 3 } as const;
const saveBit = 0x8000_0000;

/** Features that are one value, which the host may change within these bits. */
const plain: Readonly<Record<number, { readonly fallback: number; readonly bits: number }>> = {
  [feature.arbitration]: { fallback: 0, bits: 0xffff_ff07 },
  [feature.power]: { fallback: 0, bits: 0xe0 },
  [feature.errorRecovery]: { fallback: 0, bits: 0xffff },
  [feature.writeCache]: { fallback: 1, bits: 1 },
  [feature.coalescing]: { fallback: 0, bits: 0xffff },
  [feature.atomicity]: { fallback: 0, bits: 1 },
  [feature.events]: { fallback: 0, bits: 0xffff_ffff },
  [feature.keepAlive]: { fallback: 0, bits: 0xffff_ffff },
};

/** Thresholds of the temperature sensors, of which there is the composite one: over, and under (5.21.1.4). */
const thresholds = [343, 0] as const;

export class Features {
  readonly #queues: number;
  readonly #values = new Map<number, number>();
  /** Interrupt vectors that are not to be coalesced. */
  readonly #alone = new Set<number>();
  readonly #thresholds: number[] = [...thresholds];
  /** Told which has a new value. */
  readonly #changed: (number: number) => void;

  constructor(queues: number, changed: (number: number) => void) {
    this.#queues = queues;
    this.#changed = changed;
  }

  /** Whether writes may be told as done before a loss of power would leave them. */
  get writeCache(): boolean {
    return this.#value(feature.writeCache) === 1;
  }

  /** How long the host may be silent, in milliseconds; 0 for as long as it likes. */
  get keepAliveTimeout(): number {
    return this.#value(feature.keepAlive);
  }

  reset(): void {
    this.#values.clear();
    this.#alone.clear();
    this.#thresholds.splice(0, 2, ...thresholds);
  }

  get(command: Command): number {
    const number = command.word(10) & 0xff;
    const selected = (command.word(10) >>> 8) & 7;
    if (selected > select.capabilities || !isFeature(number)) return outcome.invalidField;
    if (selected === select.capabilities)
      command.result = 4; // it can be changed; it is of no namespace, and never saved
    else return this.#told(command, number, selected !== select.current);
    return outcome.success;
  }

  /** `created`: I/O queues there are already. */
  set(command: Command, created: boolean): number {
    const number = command.word(10) & 0xff;
    const value = command.word(11);
    if (!isFeature(number)) return outcome.invalidField;
    if ((command.word(10) & saveBit) !== 0) return outcome.notSaveable;
    if (number === feature.queues) return this.#grant(command, value, created);
    if (number === feature.vector) return this.#setVector(value);
    if (number === feature.temperature) return this.#setThreshold(value);
    const { bits } = plain[number] as { bits: number };
    if ((value & ~bits) !== 0) return outcome.invalidField;
    this.#values.set(number, value);
    this.#changed(number);
    return outcome.success;
  }

  #told(command: Command, number: number, fallback: boolean): number {
    const value = command.word(11);
    if (number === feature.queues) command.result = this.#granted;
    else if (number === feature.vector) {
      const vector = value & 0xffff;
      if (vector > this.#queues) return outcome.invalidField;
      command.result = vector | (!fallback && this.#alone.has(vector) ? 1 << 16 : 0);
    } else if (number === feature.temperature) {
      const which = thresholdOf(value);
      if (which === null) return outcome.invalidField;
      command.result = (fallback ? thresholds : this.#thresholds)[which] as number;
    } else command.result = fallback ? (plain[number] as { fallback: number }).fallback : this.#value(number);
    return outcome.success;
  }

  /** As many as there are, whatever was asked for: the host takes fewer where it has fewer (5.21.1.7). */
  #grant(command: Command, value: number, created: boolean): number {
    if ((value & 0xffff) === 0xffff || value >>> 16 === 0xffff) return outcome.invalidField;
    if (created) return outcome.sequence;
    command.result = this.#granted;
    return outcome.success;
  }

  get #granted(): number {
    return ((this.#queues - 1) | ((this.#queues - 1) << 16)) >>> 0;
  }

  #setVector(value: number): number {
    const vector = value & 0xffff;
    if (vector > this.#queues) return outcome.invalidField;
    if ((value & (1 << 16)) !== 0) this.#alone.add(vector);
    else this.#alone.delete(vector);
    return outcome.success;
  }

  #setThreshold(value: number): number {
    const which = thresholdOf(value);
    if (which === null) return outcome.invalidField;
    this.#thresholds[which] = value & 0xffff;
    return outcome.success;
  }

  #value(number: number): number {
    return this.#values.get(number) ?? (plain[number] as { fallback: number }).fallback;
  }
}

function isFeature(number: number): boolean {
  return (
    Object.hasOwn(plain, number) ||
    number === feature.queues ||
    number === feature.vector ||
    number === feature.temperature
  );
}

/** Index of the threshold that is meant; null for sensors that there are not. */
function thresholdOf(value: number): 0 | 1 | null {
  const sensor = (value >>> 16) & 0xf;
  const which = (value >>> 20) & 3;
  return (sensor === 0 || sensor === 0xf) && which < 2 ? (which as 0 | 1) : null;
}
