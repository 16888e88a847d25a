// A program that listens to SIGBUS, and a mapped region that is lost: neither takes the signal from the other.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { runModule } from './support/child.js';
import { temporaryFile } from './support/files.js';

/** What a program says that does `setup` with a region open, loses the region, and does `after`. */
async function told(t: TestContext, setup: string, after = ''): Promise<string> {
  const path = JSON.stringify(temporaryFile(t, 8192));
  const child = await runModule(`
    import { truncateSync } from 'node:fs';
    import { mapFile } from 'ismio';
    const region = mapFile(${path});
    const said = [];
    const heard = () => said.push('heard');
    ${setup}
    truncateSync(${path}, 0);
    try { region.load8(0); said.push('nothing'); } catch (error) { said.push(error.code); }
    ${after}
    console.log(said.join(' '));
    process.exit();
  `);
  assert.equal(child.signal, null, `${child.signal} ${child.stderr}`);
  return child.stdout.trim();
}

const kinds: Readonly<Record<string, string>> = {
  'a listener that is added': "process.on('SIGBUS', heard);",
  'a listener for once': "process.once('SIGBUS', heard);",
  'a listener put before the others': "process.prependListener('SIGBUS', heard);",
  'a listener that is added and removed again': "process.on('SIGBUS', heard); process.off('SIGBUS', heard);",
  'all listeners removed': "process.on('SIGBUS', heard); process.removeAllListeners('SIGBUS');",
  'a listener that comes and goes with no turn between': `
    for (let i = 0; i < 5; i++) { process.on('SIGBUS', heard); process.off('SIGBUS', heard); }`,
  'a listener of a turn before': "process.on('SIGBUS', heard); await new Promise(setImmediate);",
  'all that listens to all signals': `
    const { constants } = await import('node:os');
    for (const name of Object.keys(constants.signals)) {
      if (!['SIGKILL', 'SIGSTOP', 'SIGPROF'].includes(name)) process.on(name, heard);
    }`,
};

for (const [name, setup] of Object.entries(kinds)) {
  test(`${name} does not keep a lost region from being told`, async (t) => {
    assert.equal(await told(t, setup), 'ERR_ISMIO_REGION_LOST');
  });
}

test('a signal that is sent still reaches the listener', async (t) => {
  const after = `
    process.kill(process.pid, 'SIGBUS');
    await new Promise((resolve) => setTimeout(resolve, 200));`;
  assert.equal(await told(t, "process.on('SIGBUS', heard);", after), 'ERR_ISMIO_REGION_LOST heard');
});

test('a listener of the main thread does not keep a lost region of a Worker from being told', async (t) => {
  const path = JSON.stringify(temporaryFile(t, 8192));
  const child = await runModule(`
    import { truncateSync } from 'node:fs';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import 'ismio';
    const worker = new Worker(\`
      Promise.all([import('ismio'), import('node:worker_threads')]).then(([{ mapFile }, { parentPort }]) => {
        const region = mapFile(${path});
        parentPort.postMessage('open');
        parentPort.once('message', () => {
          try { region.load8(0); } catch (error) { parentPort.postMessage(error.code); }
        });
      });\`, { eval: true });
    await once(worker, 'message');
    process.on('SIGBUS', () => undefined);
    truncateSync(${path}, 0);
    worker.postMessage('look');
    console.log(...await once(worker, 'message'));
    process.exit();
  `);
  assert.equal(child.stdout, 'ERR_ISMIO_REGION_LOST\n', `${child.signal} ${child.stderr}`);
});

test('importing the package takes no signal from anybody', async () => {
  const child = await runModule(`
    import { readFileSync } from 'node:fs';
    import 'ismio';
    const caught = () => BigInt('0x' + /SigCgt:\\s*(\\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) >> 6n & 1n;
    const before = caught();
    const heard = () => undefined;
    process.on('SIGBUS', heard).off('SIGBUS', heard);
    console.log(before, caught());
  `);
  assert.equal(child.stdout, '0n 0n\n', child.stderr);
});

test('what watches for listeners keeps no process alive, and warns of nothing', async (t) => {
  const path = JSON.stringify(temporaryFile(t, 8192));
  const child = await runModule(`
    import { mapFile } from 'ismio';
    for (let i = 0; i < 50; i++) mapFile(${path}).close();
    console.log(process.listenerCount('newListener'), process.listenerCount('SIGBUS'));
  `);
  assert.equal(child.code, 0);
  assert.equal(child.stderr, '');
  const [watching, signals] = child.stdout.trim().split(' ').map(Number);
  assert.ok((watching as number) <= 3, child.stdout);
  assert.equal(signals, 0);
});
