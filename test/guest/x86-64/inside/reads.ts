// Random reads of 4 KiB, past the page cache: Linux's nvme driver on our controller and on QEMU's own, in turns.
import { test } from 'node:test';
import { median } from 'simple-statistics';
import { floorsIn } from '../../figures/floors.js';
import { run } from '../../support/run.js';
import { places, servedPlaces } from '../machine.js';
import { bind, diskOf, work } from './setting.js';

const turns = 5;
const milliseconds = 1000;

for (const depth of [1, 32]) {
  test(`4 KiB random reads at depth ${depth}, of our controller and of QEMU's`, { timeout: 120_000 }, async () => {
    const disks: string[] = [];
    for (const place of [places.nvme, servedPlaces.ownNvme]) {
      bind(place, 'nvme');
      disks.push(await diskOf(place));
    }
    const seen: [number, number][] = [];
    for (let turn = 0; turn < turns; turn++) {
      const words = ['reads', String(depth), String(milliseconds), ...disks];
      seen.push((await run(floorsIn(work).program, words)).trim().split('\n').map(Number) as [number, number]);
    }
    const [ours, own] = [0, 1].map((disk) => median(seen.map((turn) => turn[disk] as number))) as [number, number];
    const ratio = median(seen.map(([one, other]) => one / other));
    const text = `${ours.toFixed(0)} a second of ours, ${own.toFixed(0)} of QEMU's`;
    console.log(`figure: nvme, 4 KiB random reads at depth ${depth}: ${ratio.toFixed(2)} of QEMU's own (${text})`);
  });
}
