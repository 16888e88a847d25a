// A client of NBD with several requests in flight, as writers have it.
import { IsmioError } from 'ismio';
import { command, commandFlag } from '../../src/block/nbd/wire.js';
import type { Asking } from './block-writers.js';
import { errnoName, type NbdClient, type Reply, type RequestFields } from './nbd.js';

interface Waiting {
  readonly length: number;
  readonly answered: (reply: Reply) => void;
  readonly lost: (error: Error) => void;
}

/** What was in flight when the server ended fails with ERR_ISMIO_BLOCK_LOST: nobody knows what became of it. */
export function nbdAsking(client: NbdClient): Asking {
  const waiting = new Map<number, Waiting>();
  let ended: Error | null = null;
  const listen = async (): Promise<void> => {
    for (;;) {
      const reply = await client.reply((cookie) => waiting.get(cookie)?.length ?? 0);
      waiting.get(reply.cookie)?.answered(reply);
      waiting.delete(reply.cookie);
    }
  };
  listen().catch((cause: unknown) => {
    ended = new IsmioError('ERR_ISMIO_BLOCK_LOST', 'the server has ended', { reason: 'lost' }, cause);
    for (const { lost } of waiting.values()) lost(ended);
    waiting.clear();
  });
  const ask = async (fields: RequestFields, length = 0): Promise<Buffer> => {
    const { errno, data, type } = await new Promise<Reply>((answered, lost) => {
      if (ended === null) waiting.set(client.send(fields), { length, answered, lost });
      else lost(ended);
    });
    if (errno !== 0) throw new IsmioError('ERR_ISMIO_DISK', 'the server says why not', { errno: errnoName(errno) });
    return type === -1 ? data : data.subarray(8);
  };
  const asked = (fields: RequestFields): Promise<void> => ask(fields).then(() => undefined);
  const flagsOf = (fua: boolean): number => (fua ? commandFlag.fua : 0);
  return {
    write: (offset, payload, fua) => asked({ type: command.write, offset, payload, flags: flagsOf(fua) }),
    zero: (offset, length, fua) => asked({ type: command.writeZeroes, offset, length, flags: flagsOf(fua) }),
    read: async (offset, target) => {
      (await ask({ type: command.read, offset, length: target.length }, target.length)).copy(target);
    },
    flush: () => asked({ type: command.flush }),
  };
}
