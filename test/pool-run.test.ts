// pool.run: what may cross to a worker and what comes back, and that the reason told is the reason.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { emulate, IsmioError, isIsmioError, Pool, type Region } from 'ismio';
import { runModule } from './support/child.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const pool = new Pool({ threads: 1 });
after(() => pool.close({ force: true }));

const typeCode = 'ERR_ISMIO_ARGUMENT_TYPE';

/** What `what` throws in a worker, as it arrives. */
async function thrownIn(what: Parameters<Pool['run']>[0], regions: readonly Region[] = []): Promise<IsmioError> {
  return rejectsCode(pool.run(what, { regions }), IsmioError, 'ERR_ISMIO_WORKER') as Promise<never>;
}

/** The worker that this test began with; one that died would have been replaced by another. */
const threadOf = (): Promise<unknown> => pool.run(async () => (await import('node:worker_threads')).threadId as number);

describe('arguments', () => {
  const uncloneable: [string, unknown][] = [
    ['a function', () => 1],
    ['a method deep in a list', [1, [{ call: () => 1 }]]],
    ['a symbol', Symbol('s')],
    ['a WeakMap', new WeakMap()],
    ['a promise', Promise.resolve(1)],
    ['a getter that throws', Object.defineProperty({}, 'x', { enumerable: true, get: () => assert.fail() })],
  ];

  for (const [what, argument] of uncloneable) {
    test(`${what} is refused by its place, and nothing is started`, async () => {
      const waiting = pool.running + pool.queueSize;
      const run = pool.run(() => 1, { args: [0, argument] });
      assert.equal(pool.running + pool.queueSize, waiting);
      const { message, cause } = await rejectsCode(run, TypeError, typeCode, { argument: 1 });
      assert.match(message, /args\[1\]/);
      assert.ok(cause !== undefined);
    });
  }

  test('a Region or Queue among them is refused: structuredClone would make an object without methods of it', async () => {
    using region = emulate({ size: 64 });
    for (const argument of [region, region.queue(), [{ region }], new Map([[1, region]])]) {
      const { message } = await rejectsCode(
        pool.run(() => 1, { args: [argument] }),
        TypeError,
        typeCode,
      );
      assert.match(message, /regions/);
    }
  });

  test('are taken as they are when run is called, however long it waits for its turn', async () => {
    const list = [1];
    const first = pool.run(() => new Promise((resolve) => setTimeout(resolve, 20)));
    const second = pool.run((_, { args }) => args, { args: [list] });
    list.push(2);
    await first;
    assert.deepEqual(await second, [[1]]);
  });

  test('of the wrong kind are refused', async () => {
    using region = emulate({ size: 64 });
    const closed = emulate({ size: 64 });
    closed.close();
    for (const regions of [region, 'text', 5, null, new Set([region])]) {
      await rejectsCode(
        pool.run(() => 1, { regions } as never),
        TypeError,
        typeCode,
      );
    }
    for (const one of [{}, null, undefined, 5]) {
      const { message } = await rejectsCode(
        pool.run(() => 1, { regions: [region, one] } as never),
        TypeError,
        typeCode,
      );
      assert.match(message, /regions\[1\]/);
    }
    for (const args of ['text', 5, null, { 0: 1 }, new Set([1])]) {
      await rejectsCode(
        pool.run(() => 1, { args } as never),
        TypeError,
        typeCode,
      );
    }
    await rejectsCode(
      pool.run(() => 1, { regions: [closed] }),
      IsmioError,
      'ERR_ISMIO_CLOSED',
    );
  });
});

describe('a result', () => {
  const results: [string, () => unknown][] = [
    ['a function', () => () => 1],
    ['an object with a method', () => ({ n: 1, f() {} })],
    ['a symbol', () => Symbol('s')],
    [
      'a getter that throws',
      () => ({
        get x() {
          throw new Error('real problem');
        },
      }),
    ],
  ];

  for (const [what, make] of results) {
    test(`that is ${what} is told as what cannot be cloned, and the worker lives`, async () => {
      const thread = await threadOf();
      const { message, cause } = await thrownIn(make);
      assert.match(message, /result.*(could not be cloned|real problem)/);
      assert.ok(cause instanceof Error);
      assert.equal(await threadOf(), thread);
    });
  }

  test('that is or has a Region is refused', async () => {
    using region = emulate({ size: 64 });
    assert.match((await thrownIn(([attached]) => attached, [region])).message, /Region/);
    assert.match((await thrownIn(([attached]) => ({ list: [attached] }), [region])).message, /Region/);
  });

  test('comes back as structuredClone makes it, with shared parts shared', async () => {
    const result = await pool.run(() => {
      const part = { at: new Date(5) };
      return { map: new Map([[part, 7n]]), part, shared: new Uint8Array(new SharedArrayBuffer(4)), nothing: undefined };
    });
    assert.equal(result.map.get(result.part), 7n);
    assert.equal(result.part.at.getTime(), 5);
    assert.ok(result.shared.buffer instanceof SharedArrayBuffer);
    assert.equal(await pool.run(() => undefined), undefined);
    assert.equal(await pool.run(() => null), null);
  });

  test('keeps what the errors in it have', async () => {
    using region = emulate({ size: 64, faults: [{ access: 'store', cc: 1, status: 4 }] });
    const [settled, map] = await pool.run(
      async ([attached]) => {
        const store = async (): Promise<void> => (attached as Region).store64(0, 1n);
        const [settled] = (await Promise.allSettled([store()])) as [PromiseRejectedResult];
        const error = new RangeError('far', { cause: settled.reason });
        return [settled, new Map([['error', error]])] as const;
      },
      { regions: [region] },
    );
    assert.ok(isIsmioError(settled.reason, 'ERR_ISMIO_DEVICE'));
    assert.equal(settled.reason.deviceStatus, 4);
    assert.ok(map.get('error') instanceof RangeError);
    assert.equal(map.get('error')?.cause, settled.reason, 'one error, and not a copy of it in each place');
  });
});

describe('what is thrown', () => {
  test('by a device arrives with its class, code and values', async () => {
    using region = emulate({ size: 4096, faults: [{ access: 'store', cc: 1, status: 4 }] });
    const { cause, message } = await thrownIn(([attached]) => (attached as Region).store64(8, 1n), [region]);
    assert.ok(cause instanceof IsmioError);
    const { code, name, conditionCode, deviceStatus, offset, length, errno } = cause;
    assert.deepEqual([name, code, conditionCode, deviceStatus], ['IsmioError', 'ERR_ISMIO_DEVICE', 1, 4]);
    assert.deepEqual([offset, length, errno, cause.region], [8, 8, 'EIO', region.name]);
    assert.ok(message.includes(cause.message));
    assert.match(String(cause.stack), /IsmioError: store/);
  });

  test("as a caller's mistake is a RangeError or TypeError of this package here, too", async () => {
    using region = emulate({ size: 64 });
    const { cause } = await thrownIn(([attached]) => (attached as Region).load8(64), [region]);
    assert.ok(cause instanceof RangeError && !(cause instanceof IsmioError));
    assert.ok(isIsmioError(cause, 'ERR_ISMIO_OUT_OF_RANGE'));
    assert.equal(cause.size, 64);
  });

  test('by a queue arrives with what became of its operations', async () => {
    using region = emulate({ size: 4096, faults: [{ access: 'store', cc: 1, range: [8, 16] }] });
    const { cause } = await thrownIn(
      ([attached]) => {
        const queue = (attached as Region).queue();
        for (let i = 0; i < 3; i++) queue.store64(8 * i, 1n);
        queue.submit();
      },
      [region],
    );
    const { index, completion, operations } = cause as IsmioError & { operations: { state: string }[] };
    assert.deepEqual([index, (completion as { stores: number }).stores], [1, 1]);
    assert.deepEqual(
      operations.map(({ state }) => state),
      ['failed', 'skipped'],
    );
  });

  test('with causes, a list of errors and a circle arrives so', async () => {
    const { cause } = await thrownIn(() => {
      const inner = Object.assign(new TypeError('inner', { cause: 'why' }), { code: 'E_INNER', values: [1, 2] });
      const all = new AggregateError([inner, new Error('second', { cause: inner })], 'both');
      Object.assign(inner, { whole: all });
      throw all;
    });
    assert.ok(cause instanceof AggregateError);
    const [inner, second] = cause.errors;
    assert.ok(inner instanceof TypeError);
    assert.deepEqual([inner.message, inner.cause], ['inner', 'why']);
    const { code, values, whole } = inner as unknown as Record<string, unknown>;
    assert.deepEqual([code, values], ['E_INNER', [1, 2]]);
    assert.equal(whole, cause);
    assert.equal(second.cause, inner);
  });

  test('of a class of its own is an Error with its name and values', async () => {
    const { cause } = await thrownIn(() => {
      class Odd extends RangeError {
        override name = 'Odd';
        readonly code = 42;
      }
      throw new Odd('so');
    });
    assert.ok(cause instanceof RangeError);
    assert.deepEqual([cause.name, (cause as unknown as Odd).code, cause.message], ['Odd', 42, 'so']);
  });
  interface Odd {
    readonly code: number;
  }

  test('with parts that cannot be cloned arrives with text in their place', async () => {
    const thread = await threadOf();
    const { message, cause } = await thrownIn(() => {
      const error = Object.assign(new Error('real problem', { cause: () => 1 }), {
        retry: function again() {},
        secret: Symbol('s'),
        map: new WeakMap(),
        fine: { deep: [1] },
      });
      const get = (): never => {
        throw new Error('no');
      };
      throw Object.defineProperty(error, 'broken', { enumerable: true, get });
    });
    assert.match(message, /real problem/);
    const { retry, secret, map, fine } = cause as unknown as Record<string, unknown>;
    assert.deepEqual(
      [(cause as Error).cause, retry, secret],
      ['the function cause', 'the function again', 'Symbol(s)'],
    );
    assert.deepEqual([map, fine], ['an instance of WeakMap', { deep: [1] }]);
    assert.match(String((cause as { broken?: string }).broken), /reading it threw/);
    assert.equal(await threadOf(), thread);
  });

  const noErrors: [string, () => never, RegExp][] = [
    [
      'undefined',
      () => {
        throw undefined;
      },
      /threw: undefined/,
    ],
    [
      'null',
      () => {
        throw null;
      },
      /threw: null/,
    ],
    [
      'a symbol',
      () => {
        throw Symbol('s');
      },
      /Symbol\(s\)/,
    ],
    [
      'a function',
      () => {
        throw () => 1;
      },
      /function/,
    ],
    [
      'an object with a method',
      () => {
        throw { f() {} };
      },
      /Object/,
    ],
    [
      'a revoked proxy',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy;
      },
      /threw/,
    ],
  ];

  for (const [what, throws, words] of noErrors) {
    test(`is told where it is ${what}, and the worker lives`, async () => {
      const thread = await threadOf();
      assert.match((await thrownIn(throws)).message, words);
      assert.equal(await threadOf(), thread);
    });
  }

  test('because of a name that a tool wrote into the function is told as that', async () => {
    const { message } = await thrownIn(new Function('return __name((x) => x, "x")') as never);
    assert.match(message, /__name is not defined.*URL of a module/);
  });

  test('by a promise that the function left behind is the end of its own run, not of the next', async () => {
    const left = pool.run(() => {
      void Promise.reject(new Error('left behind'));
      return 1;
    });
    const next = pool.run(() => 2);
    const { message } = await rejectsCode(left, IsmioError, 'ERR_ISMIO_WORKER_DIED');
    assert.match(message, /left behind/);
    assert.equal(await next, 2);
  });
});

describe('a module', () => {
  test('hands on the code and values of what it throws', async (t) => {
    const file = join(temporaryFolder(t), 'task.mjs');
    writeFileSync(
      file,
      `import { emulate } from ${JSON.stringify(import.meta.resolve('ismio'))};
      export default () => emulate({ size: 8 }).load8(8);`,
    );
    const { cause } = await thrownIn(pathToFileURL(file));
    assert.ok(isIsmioError(cause, 'ERR_ISMIO_OUT_OF_RANGE'), 'of another copy of the package');
  });

  test('that is not there or exports no function is told', async (t) => {
    const file = join(temporaryFolder(t), 'task.mjs');
    assert.match((await thrownIn(pathToFileURL(file))).message, /task\.mjs/);
    writeFileSync(file, 'export const other = 1;');
    assert.match((await thrownIn(pathToFileURL(file))).message, /default export/);
  });

  test('is the way where Node.js compiles no text, and the refusal of a function says so', async (t) => {
    const file = join(temporaryFolder(t), 'task.mjs');
    writeFileSync(file, 'export default () => 7;');
    const source = `import { Pool } from 'ismio';
      const pool = new Pool({ threads: 1 });
      await pool.run(() => 5).catch(({ code, message }) => console.log(code, message));
      console.log(await pool.run(new URL(${JSON.stringify(pathToFileURL(file).href)})));
      await pool.close();`;
    const { stdout } = await runModule(source, { flags: ['--disallow-code-generation-from-strings'] });
    assert.match(stdout, /^ERR_ISMIO_ARGUMENT_TYPE .*URL of a module\n7\n$/);
  });
});
