// The road over a socket: with the server in this very thread, and in another process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { openVfioUser } from 'ismio';
import { serve, type VfioUserServer } from 'ismio/device';
import { packageRoot } from './support/child.js';
import { contractDevice, contractOf } from './support/contract.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-test-'));
const here = join(folder, 'here');
const there = join(folder, 'there');
const program = join(packageRoot, 'dist', 'test', 'support', 'contract-server.js');

let server: VfioUserServer;
const child = spawn(process.execPath, [program, there], { stdio: ['pipe', 'pipe', 'inherit'] });

before(async () => {
  server = await serve(contractDevice(), { path: here });
  await once(child.stdout, 'data');
});

after(async () => {
  server.close();
  child.stdin.end();
  assert.deepEqual(await once(child, 'close'), [0, null]);
  rmSync(folder, { recursive: true });
});

for (const [name, path] of [
  ['openVfioUser, server in the same thread', here],
  ['openVfioUser, server in another process', there],
] as const) {
  contractOf({ name, open: async () => ({ device: openVfioUser(path), close: async () => undefined }) });
}
