// A console whose server and client are on machines of different byte orders. ISMIO_FAR_NODE=.. is a Node.js of another machine:
// in .ci/run an emulated s390x. Without, both are of this one, and the session is still between two processes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot, said } from './support/child.js';
import { temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';

const program = join(packageRoot, 'dist', 'test', 'support', 'session-end.js');
const here = process.execPath;
const far = process.env['ISMIO_FAR_NODE'] ?? here;

/** One end: what it met, and the byte order that it has. */
async function end(node: string, duty: string, path: string): Promise<{ met: unknown[]; order: string }> {
  const child = spawn(node, [program, duty, path], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience(60_000),
    killSignal: 'SIGKILL',
  });
  const { code, stdout, stderr } = await said(child);
  assert.equal(code, 0, `${duty}: ${stderr}`);
  const lines = stdout.trim().split('\n');
  return { met: lines.map((line) => JSON.parse(line)), order: stderr.trim() };
}

test('a session is the same whatever byte orders its two ends have', async (t) => {
  const folder = temporaryFolder(t);
  const session = async (server: string, client: string, name: string) => {
    const path = join(folder, name);
    const [served, attached] = await Promise.all([end(server, 'serve', path), end(client, 'attach', path)]);
    t.diagnostic(`the server is ${served.order}, the client ${attached.order}`);
    return { met: [...served.met, ...attached.met], orders: [served.order, attached.order] };
  };
  const alike = await session(here, here, 'alike');
  const [line, heard, ends] = alike.met as [[string, { keys: string }], [string, { output: string }], [string, object]];
  assert.equal(line[1].keys, Buffer.from('gräßlich, goend').toString('latin1'));
  assert.equal(heard[1].output, Buffer.from(Array.from({ length: 256 }, (_, index) => index)).toString('hex'));
  assert.match(JSON.stringify(ends), /"name":"numbers","size":\{"columns":515,"rows":260,/);
  assert.match(JSON.stringify(heard), /\["exit",\{"status":258,"signal":null\}/);

  const [farClient, farServer] = [await session(here, far, 'far-client'), await session(far, here, 'far-server')];
  assert.deepEqual(farClient.met, alike.met);
  assert.deepEqual(farServer.met, alike.met);
  if (far !== here) assert.deepEqual([...farClient.orders, ...farServer.orders], ['LE', 'BE', 'BE', 'LE']);
});
