// What is no object of options is refused wherever options are taken: an AbortSignal in their place would else be ignored.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import {
  allocBuffer,
  diagnose,
  emulate,
  listFunctions,
  mapFile,
  openResource,
  openVfio,
  openVfioUser,
  Pool,
  type PoolOptions,
  record,
  replay,
} from 'ismio';

const region = emulate({ size: 4096 });
const queue = region.queue();
const pool = new Pool({ threads: 1 });
after(() => pool.close());
const bytes = allocBuffer(8);

/** Each takes what stands in the place of its options. */
const calls: Readonly<Record<string, (options: never) => unknown>> = {
  emulate: (options) => emulate(options),
  'emulate, rules': (rules) => emulate({ size: 8, rules }),
  'emulate, cost': (cost) => emulate({ size: 8, cost }),
  mapFile: (options) => mapFile('/dev/null', options),
  openResource: (options) => openResource('0000:00:04.0', 0, options),
  openVfio: (options) => openVfio('0000:00:04.0', options),
  openVfioUser: (options) => openVfioUser('/dev/null', options),
  listFunctions: (options) => listFunctions(options),
  diagnose: (options) => diagnose(options),
  'region.queue': (options) => region.queue(options),
  'region.queue, flush': (flush) => region.queue({ flush }),
  'queue.drain': (options) => queue.drain(options),
  record: (options) => record(region, '/dev/null', options),
  replay: (options) => replay('/dev/null', options),
  'new Pool': (options: PoolOptions) => new Pool(options),
  'pool.write': (options) => pool.write(region, 0, bytes, options),
  'pool.read': (options) => pool.read(region, 0, bytes, options),
  'pool.copy': (options) => pool.copy(region, 0, region, 8, 8, options),
  'pool.run': (options) => pool.run(() => 1, options),
  'pool.close': (options) => pool.close(options),
};

const noOptions: readonly [string, unknown][] = [
  ['an AbortSignal', new AbortController().signal],
  ['an AbortController', new AbortController()],
  ['a number', 5],
  ['a text', 'options'],
  ['true', true],
  ['null', null],
  ['a function', () => ({})],
  ['an empty list', []],
  ['a list', [{ size: 8 }]],
  ['bytes', new Uint8Array(8)],
  ['a Map', new Map([['size', 8]])],
  ['a Date', new Date()],
  ['a promise', Promise.resolve({})],
  ['an error', new Error('no')],
];

/** What the call throws or rejects with. */
async function refusalOf(call: (options: never) => unknown, options: unknown): Promise<Error & { code?: string }> {
  try {
    await call(options as never);
  } catch (error) {
    return error as Error;
  }
  return assert.fail('it was taken');
}

for (const [name, call] of Object.entries(calls)) {
  test(`${name} refuses what is no object of options`, async () => {
    for (const [what, value] of noOptions) {
      const error = await refusalOf(call, value);
      assert.equal(error.code, 'ERR_ISMIO_ARGUMENT_TYPE', `${what}: ${error.message}`);
      assert.ok(error instanceof TypeError, what);
    }
    await refusalOf(call, queue); // it has names that are options
    const { code } = await refusalOf(call, { sginal: 1 });
    assert.equal(code, 'ERR_ISMIO_OPTION', 'an option that there is not');
  });
}

describe('an AbortSignal in the place of options', () => {
  for (const name of ['queue.drain', 'replay', 'pool.write', 'pool.read', 'pool.copy', 'pool.run']) {
    test(`of ${name} is told how to be handed over`, async () => {
      const { message } = await refusalOf(calls[name] as never, new AbortController().signal);
      assert.match(message, /\{ signal \}/);
    });
  }
});

describe('options are taken', () => {
  class Defaults {
    readonly size = 64;
  }
  const another = createContext({});
  const taken: readonly [string, object][] = [
    ['from an object without a prototype', Object.assign(Object.create(null), { size: 64 })],
    ['from another realm', runInContext('({ size: 64 })', another)],
    ["from a class of the caller's own", new Defaults()],
    ['from an object that inherits them', Object.create({ size: 64 })],
  ];
  for (const [what, options] of taken) {
    test(what, () => {
      using opened = emulate(options as never);
      assert.equal(opened.size, 64);
    });
  }
});
