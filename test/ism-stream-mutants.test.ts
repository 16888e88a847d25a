// The simulation of streams can fail: each of these faults is one that protocols of this kind were seen to have.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Fault, mutant } from './support/ism-mutants.js';
import { Simulation } from './support/ism-simulation.js';

/** Within so many schedules, each fault is to be seen. */
const schedules = 10_000;

const faults: Readonly<Record<string, Fault>> = {
  'a signal that is left out where the ring was not empty by the copy': {
    file: 'end.js',
    from: 'if (peer.arms === this.#said.answers)',
    to: 'if (peer.arms === this.#said.answers || peer.cons < this.#said.prod)',
  },
  'an arm without a look behind it': {
    file: 'end.js',
    from: 'this.#stale = true;\n        this.#beatDue = false;',
    to: 'this.#beatDue = false;',
  },
  'text that is overwritten before it was read': {
    file: 'outgoing.js',
    from: 'if (this.textPosition + this.textLength <= cons) {',
    to: 'if (true) {',
  },
  'bytes that count as read before they were copied': {
    file: 'end.js',
    from: 'const { cons } = this.#incoming;',
    to: 'const cons = this.#incoming.cons + this.#incoming.available;',
  },
  'credit that a blocked peer is not woken for': {
    file: 'end.js',
    from: 'return peer.has(flag.blocked) && ',
    to: 'return false && ',
  },
  'an end that is told without a signal': {
    file: 'end.js',
    from: '(flag.end | flag.done);\n        this.#send',
    to: '0;\n        this.#send',
  },
  'a ring that is filled by one byte too many': {
    file: 'outgoing.js',
    from: 'const room = this.#ring - (this.prod - cons);',
    to: 'const room = this.#ring - (this.prod - cons) + 1;',
  },
  'a torn block that is believed': {
    file: 'peer.js',
    from: 'if (this.#next.isWhole)',
    to: 'if (true)',
  },
};

describe('the simulation notices', { concurrency: 1 }, () => {
  for (const [name, fault] of Object.entries(faults)) {
    test(name, async (context) => {
      const End = await mutant(fault);
      let seed = 1;
      assert.throws(() => {
        for (; seed <= schedules; seed++) new Simulation(seed, End).run();
      });
      context.diagnostic(`in schedule ${seed}`);
    });
  }
});
