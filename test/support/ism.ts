// Two ISM functions of one fabric, opened by their drivers on one of the roads to them.
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVfioUser } from 'ismio';
import { serve } from 'ismio/device';
import {
  createFabric,
  type Fabric,
  type FabricOptions,
  type Ism,
  type IsmFunction,
  type IsmOptions,
  openIsm,
} from 'ismio/ism';

export type Road = 'device.open()' | 'vfio-user' | 'vfio-user, by lanes';
/** Those on which the fabric makes every move. */
export const fabricRoads: readonly Road[] = ['device.open()', 'vfio-user'];
export const roads: readonly Road[] = [...fabricRoads, 'vfio-user, by lanes'];

export interface Pair {
  readonly fabric: Fabric;
  readonly functions: readonly [IsmFunction, IsmFunction];
  readonly a: Ism;
  readonly b: Ism;
  /** Opens a function of the fabric by the same road. */
  open(one: IsmFunction, options?: IsmOptions): Promise<Ism>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function pairOn(road: Road, options: IsmOptions = {}, fabricOptions: FabricOptions = {}): Promise<Pair> {
  const direct = road === 'vfio-user, by lanes';
  const fabric = createFabric({ direct, ...fabricOptions });
  const functions = [fabric.function({ gid: 0x11n }), fabric.function({ gid: 0x22n })] as const;
  const folder = await mkdtemp(join(tmpdir(), 'ismio-ism-'));
  const servers: AsyncDisposable[] = [];
  const drivers: Ism[] = [];
  const open = async (one: IsmFunction, own: IsmOptions = {}): Promise<Ism> => {
    const driver = await openIsm(await deviceOf(one), { direct, ...own });
    drivers.push(driver);
    return driver;
  };
  const deviceOf = async (one: IsmFunction) => {
    if (road === 'device.open()') return one.open();
    const path = join(folder, `${servers.length}.sock`);
    servers.push(await serve(one, { path }));
    return openVfioUser(path);
  };
  const [a, b] = [await open(functions[0], options), await open(functions[1], options)];
  return {
    ...{ fabric, functions, a, b, open },
    async [Symbol.asyncDispose]() {
      for (const driver of drivers) driver.close();
      for (const server of servers) await server[Symbol.asyncDispose]();
      fabric.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** What an emitter emits next under a name. */
export function next<Told>(emitter: { once(name: string, told: (value: Told) => void): unknown }, name: string) {
  return new Promise<Told>((resolve) => emitter.once(name, resolve));
}

/** The reasons for which moves of a function's driver were refused, and how many for each. */
export function refusalsOf(one: IsmFunction): Record<string, number> {
  return Object.fromEntries(Object.entries(one.stats().refused).filter(([, count]) => count > 0));
}
