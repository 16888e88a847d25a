// Devices of this package in the guest's machine, in the places of QEMU's own: served by the test's process over vfio-user.
import { mkdirSync, writeFileSync } from 'node:fs';
import { serve, type VfioUserServer } from 'ismio/device';
import { edu } from '../../../examples/devices/edu.js';
import { nvmeController } from '../../../examples/devices/nvme.js';
import { serial } from '../../../examples/devices/serial.js';
import { contractDevice } from '../../support/contract.js';
import { nvmeBytes, nvmeFile, ownNvmeFile, servedNames, socketOf } from './machine.js';

/** What a person at the serial line would do: answers a prompt, and sends a command to the shell behind it. */
export interface Line {
  /** All that came over the line. */
  readonly said: () => string;
}

export interface Served {
  readonly line: Line;
  readonly servers: Readonly<Record<(typeof servedNames)[number], VfioUserServer>>;
  close(): void;
}

export async function serveAll(work: string): Promise<Served> {
  mkdirSync(work, { recursive: true });
  for (const file of [nvmeFile(work), ownNvmeFile(work)]) writeFileSync(file, new Uint8Array(nvmeBytes));
  const port = serial();
  const devices = {
    edu: edu(),
    nvme: nvmeController({ file: nvmeFile(work), serial: 'ismio-guest', queues: 32 }),
    serial: port,
    contract: contractDevice(),
  };
  for (const [name, device] of Object.entries(devices)) {
    device.on('error', (error) => console.log(`${name}: ${error.message}`));
  }
  const served = await Promise.all(
    servedNames.map(async (name) => [name, await serve(devices[name], { path: socketOf(work, name) })] as const),
  );
  const servers = Object.fromEntries(served) as Served['servers'];
  return {
    line: operate(port.terminal),
    servers,
    close() {
      for (const name of servedNames) {
        servers[name].close();
        devices[name].close();
      }
    },
  };
}

/** The name that is given at the prompt, and what its shell is asked to say. */
export const operator = 'operator';
export const sum = 'echo sum $((6 * 7))';

function operate(terminal: NodeJS.ReadWriteStream): Line {
  let text = '';
  const answers: [prompt: RegExp, answer: string][] = [
    [/login: $/, `${operator}\n`],
    [/ready$/m, `${sum}\nexit\n`],
  ];
  terminal.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const [next] = answers;
    if (next === undefined || !next[0].test(text)) return;
    answers.shift();
    terminal.write(next[1]);
  });
  return { said: () => text };
}
