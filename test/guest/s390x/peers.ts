// The fabric of the guest's ISM function, and the drivers on it that are the host's: they do what the guest asks for.
import { serve, type VfioUserServer } from 'ismio/device';
import { createFabric, type Dmb, type Ism, type IsmEvent, type IsmFunction, openIsm } from 'ismio/ism';
import { pattern } from '../../support/bytes.js';
import { digestOf, dmbBytes, fills, gids, Said } from './speech.js';

export interface Peers {
  /** The function that is served to QEMU, and the one that it talks to. */
  readonly guest: IsmFunction;
  readonly peer: IsmFunction;
  /** GIDs that the peer heard go, in order. */
  readonly gone: readonly bigint[];
  /** What went wrong on the host. */
  readonly errors: readonly Error[];
  close(): void;
}

export async function servePeers(path: string): Promise<Peers> {
  const fabric = createFabric();
  const guest = fabric.function({ gid: gids.guest, name: 'guest', reversedWords: true });
  const peer = fabric.function({ gid: gids.peer, name: 'peer' });
  const leaver = fabric.function({ gid: gids.leaver, name: 'leaver' });
  const gone: bigint[] = [];
  const errors: Error[] = [];
  const server: VfioUserServer = await serve(guest, { path });
  const [talking, leaving] = [await openIsm(peer.open()), await openIsm(leaver.open())];
  for (const one of [guest, talking, leaving]) one.on('error', (error: Error) => errors.push(error));
  const answers = answersOf(talking);
  talking.on('event', (event) => answers[event.code as Said]?.(event));
  talking.on('gone', (gid) => gone.push(gid));
  leaving.on('event', ({ code }) => {
    if (code === Said.leave) leaving.close();
  });
  return {
    ...{ guest, peer, gone, errors },
    close() {
      talking.close();
      leaving.close();
      server.close();
      fabric.close();
    },
  };
}

function answersOf(talking: Ism): Partial<Record<Said, (event: IsmEvent) => void>> {
  let [theirs, own]: [bigint, Dmb | null] = [0n, null];
  const tell = (code: Said, info: bigint) => talking.signal(gids.guest, { code, info });
  return {
    [Said.offer]({ info }) {
      theirs = info;
      own?.unregister();
      own = talking.registerDmb({ length: dmbBytes, peer: gids.guest });
      tell(Said.offer, own.token);
    },
    [Said.fill]({ info }) {
      const number = Number(info);
      const { offset, length } = fills[number] as (typeof fills)[number];
      talking.move(theirs, offset, pattern(length, number), { signal: number });
    },
    [Said.digest]: () => tell(Said.digest, own === null ? 0n : digestOf(own.memory)),
    [Said.echo]: ({ info }) => tell(Said.echo, info),
  };
}
