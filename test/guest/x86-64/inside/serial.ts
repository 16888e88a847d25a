// Linux's own driver for serial ports, 8250_pci, on ours: a getty asks for a name, and gives it a shell.
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { run } from '../../support/run.js';
import { servedPlaces } from '../machine.js';
import { driverOf } from './setting.js';

test('8250_pci has the port as a 16550A; a getty on it lets somebody in, whose shell answers', {
  timeout: 100_000,
}, async () => {
  assert.equal(driverOf(servedPlaces.serial), 'serial');
  const name = readdirSync('/sys/class/tty').find((one) => {
    return readlinkSync(`/sys/class/tty/${one}`).includes(`/${servedPlaces.serial}/`);
  });
  assert.ok(name, 'a ttyS of its own');
  writeFileSync('/run/login', '#!/bin/sh\necho "hello $2"\necho ready\nexec /bin/sh\n');
  chmodSync('/run/login', 0o755);
  // agetty takes the line as its controlling terminal, and ends with the shell.
  await run('timeout', [
    '60',
    'agetty',
    '--noissue',
    '--nohostname',
    '--nohints',
    '-L',
    '-l',
    '/run/login',
    '115200',
    name,
    'vt100',
  ]);
});
