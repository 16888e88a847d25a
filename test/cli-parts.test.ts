// What the command line and the demo are made of, without a process around it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Command, InvalidArgumentError } from 'commander';
import { compareText } from '../bench/compare/text.js';
import { hexdump } from '../src/cli/hexdump.js';
import { parseCount, parseWhole } from '../src/cli/numbers.js';
import { createProgram } from '../src/cli/program.js';
import { parseShare, parseTolerance } from '../src/cli/shares.js';
import { parseTarget } from '../src/cli/target.js';
import { checkVerified } from '../src/demo/demo.js';
import { drawChart, drawTable, wrapped } from '../src/demo/draw.js';
import { type Part, type PartReport, runPart } from '../src/demo/parts.js';
import { plannedWrites, type Way } from '../src/demo/ways.js';
import { emulate } from '../src/region/open.js';
import { pattern } from './support/bytes.js';
import { compareReport } from './support/results.js';

describe('the help text', () => {
  function* withThoseBelow(command: Command): Generator<Command> {
    yield command;
    for (const below of command.commands) yield* withThoseBelow(below);
  }

  for (const command of withThoseBelow(createProgram())) {
    test(`of ${command.parent?.name() ?? ''} ${command.name()} can be shown`, () => {
      assert.match(command.helpInformation(), new RegExp(`^Usage: (ismio )?.*${command.name()}`));
    });
  }
});

describe('numbers', () => {
  const accepted: [string, bigint][] = [
    ['0', 0n],
    ['4096', 4096n],
    ['0x1000', 4096n],
    ['0XfF', 255n],
    ['4K', 4096n],
    ['4k', 4096n],
    ['0x10M', 16n << 20n],
    ['3G', 3n << 30n],
    ['256T', 1n << 48n],
    ['18446744073709551615', 2n ** 64n - 1n],
  ];
  for (const [text, value] of accepted) {
    test(`${text} is ${value}`, () => assert.equal(parseWhole(text), value));
  }

  for (const text of ['', ' 1', '-1', '1.5', '1e3', '0x', 'K', '4KB', '4P', '0b1', '1_000', 'ten']) {
    test(`'${text}' is none`, () => assert.throws(() => parseWhole(text), InvalidArgumentError));
  }

  test('a count is exact, or refused', () => {
    assert.equal(parseCount('9007199254740991'), Number.MAX_SAFE_INTEGER);
    assert.throws(() => parseCount('9007199254740992'), InvalidArgumentError);
  });
});

describe('shares', () => {
  test('are above 0 and below 1, also in percent', () => {
    assert.deepEqual(['0.02', '2%', '.5'].map(parseShare), [0.02, 0.02, 0.5]);
    for (const text of ['', '0', '1', '-0.1', '100%', '.', '1.2.3', '2 %']) {
      assert.throws(() => parseShare(text), InvalidArgumentError, text);
    }
  });

  test('that are tolerances may be 0, however that is written', () => {
    assert.deepEqual(['0', '0.0', '0%', '2%'].map(parseTolerance), [0, 0, 0, 0.02]);
    for (const text of ['', '1', '-0', '.', 'none'])
      assert.throws(() => parseTolerance(text), InvalidArgumentError, text);
  });
});

describe('the text of a comparison', () => {
  test('has a level of few digits', () => {
    const options = { ...compareReport().options, level: 0.57 };
    assert.match(compareText(compareReport({ options })), / with 57 % confidence /);
  });

  test('has what was skipped on one line each', () => {
    const skipped = [{ name: 'queue/a/b', reason: 'base cannot run it: Cannot find x\nRequire stack:\n- /a.js' }];
    const text = compareText(compareReport({ skipped }));
    assert.match(text, /^skipped queue\/a\/b: base cannot run it: Cannot find x Require stack: - \/a\.js$/m);
  });
});

describe('targets', () => {
  test('of each kind', () => {
    assert.deepEqual(parseTarget('emulated:64K'), { what: 'emulated', size: 65536n });
    assert.deepEqual(parseTarget('file:/a b:c/d'), { what: 'file', path: '/a b:c/d' });
    assert.deepEqual(parseTarget('resource:0000:00:04.0/2'), { what: 'resource', bdf: '0000:00:04.0', bar: 2 });
  });

  for (const text of [
    '',
    'file:',
    'emulated:',
    'emulated:4Q',
    'resource:0000:00:04.0',
    'resource:/0',
    'tape:x',
    '/dev/shm/x',
  ]) {
    test(`'${text}' is none`, () => assert.throws(() => parseTarget(text), InvalidArgumentError));
  }
});

describe('hexdump', () => {
  function linesOf(offset: number, ...pieces: Uint8Array[]): string[] {
    return [...hexdump(offset, pieces)].join('').trimEnd().split('\n');
  }

  test('of nothing is the offset of its end', () => {
    assert.deepEqual(linesOf(0x20), ['00000020']);
  });

  test('tells a run of equal lines by one star across pieces, and the line after it', () => {
    const zeros = new Uint8Array(32);
    assert.deepEqual(linesOf(0, zeros, zeros, Uint8Array.of(0x41, 0x7f)), [
      '00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|',
      '*',
      '00000040  41 7f                                             |A.|',
      '00000042',
    ]);
  });

  test('has room for offsets past 4 GiB', () => {
    assert.match(linesOf(2 ** 47, Uint8Array.of(1))[0] as string, /^800000000000 {2}01 /);
  });
});

describe('the check of the demo', () => {
  const nothing: Way = { name: 'nothing', explanation: 'moves nothing', move: () => undefined };
  const almost: Way = {
    name: 'almost all',
    explanation: 'forgets the last byte',
    move: (region, source) => region.write(0, source.subarray(0, -1)),
  };

  async function reportOf(...ways: Way[]): Promise<PartReport> {
    using region = emulate({ size: 8192 });
    const part: Part = {
      name: 'emulated region',
      region,
      sentence: '',
      syntheticNanoseconds: null,
      bytes: pattern(5000),
      ways,
      [Symbol.dispose]: () => undefined,
    };
    return await runPart(part, () => ({ at: () => undefined, [Symbol.dispose]: () => undefined }));
  }

  test('passes what is there, to the byte', async () => {
    const report = await reportOf(plannedWrites);
    assert.deepEqual([report.outcomes[0]?.verified, report.outcomes[0]?.operations], [true, 2]);
    checkVerified({ parts: [report] });
  });

  test('fails one byte that is missing, and bytes that only the way before it has moved', async () => {
    const report = await reportOf(plannedWrites, almost, nothing);
    assert.deepEqual(
      report.outcomes.map(({ verified }) => verified),
      [true, false, false],
    );
    assert.throws(
      () => checkVerified({ parts: [report] }),
      (error: Error & { code: string; ways: string[] }) => {
        assert.equal(error.code, 'ERR_ISMIO_MISMATCH');
        assert.deepEqual(error.ways, ['almost all into the emulated region', 'nothing into the emulated region']);
        return true;
      },
    );
    assert.match(drawTable(report), /almost all .* DIFFERS/);
  });
});

describe('drawing', () => {
  const measured = {
    operations: 12_345_678,
    bytesPerOperation: 4096,
    seconds: 9.99,
    runs: 1,
    sha256: '',
    verified: true,
  };
  const report: PartReport = {
    region: 'mapped file',
    access: '',
    syntheticNanoseconds: null,
    bytes: 1,
    sha256: '',
    outcomes: [
      { ...measured, way: 'per-word stores', megabytesPerSecond: 10, ratio: 1 },
      { ...measured, way: 'planned writes', megabytesPerSecond: 20_000, ratio: 2000 },
    ],
  };

  test('the table fits 80 columns with the largest figures', () => {
    const lines = drawTable(report).split('\n');
    assert.equal(lines.length, 3);
    assert.ok(lines.every((line) => line.length <= 80));
  });

  for (const columns of [80, 120]) {
    test(`the longest bar ends within ${columns} columns, and the shortest can be seen`, () => {
      const [short, long] = drawChart(report, columns).split('\n') as [string, string];
      assert.equal(long.length, columns - 1);
      assert.match(short, /▏ 10\.0 MB\/s$/);
    });
  }

  test('text is broken between words', () => {
    assert.equal(wrapped('one two three four', 9), 'one two\nthree\nfour');
  });
});
