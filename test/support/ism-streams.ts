// Streams between two ISM functions of one fabric, over the real driver.
import type { ConnectOptions, IsmStream, ListenOptions } from 'ismio/ism';
import { next, type Pair, pairOn, type Road } from './ism.js';
import { sequence } from './random.js';

export interface Streams extends AsyncDisposable {
  readonly pair: Pair;
  readonly near: IsmStream;
  readonly far: IsmStream;
}

export const port = 7;

export async function streamsOn(road: Road, options: ConnectOptions & ListenOptions = {}): Promise<Streams> {
  const pair = await pairOn(road);
  const listener = pair.b.listen(port, options);
  const accepted = next<IsmStream>(listener, 'stream');
  const near = await pair.a.connect(pair.b.gid, port, options);
  const far = await accepted;
  return {
    ...{ pair, near, far },
    async [Symbol.asyncDispose]() {
      for (const stream of [near, far]) stream.on('error', () => undefined).destroy();
      await pair[Symbol.asyncDispose]();
    },
  };
}

/** Bytes that the seed decides. */
export function bytes(length: number, seed: number): Buffer {
  const draw = sequence(seed);
  return Buffer.from(Uint8Array.from({ length }, () => draw(256)));
}
