// Recordings of consoles, played by the players that people have: asciinema's in a browser, and scriptreplay of util-linux.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type ConsoleRecorder, recordAsciicast, recordScript } from '../src/console/recording/recorder.js';
import { Browser, noBrowser } from './support/browser.js';
import { packageRoot } from './support/child.js';
import { FakeConsole } from './support/console-view.js';
import { thrownBy } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

/** A clock that a test winds on, in milliseconds. */
class Clock {
  now = 1000;
  readonly read = (): number => this.now;
}

type Told = (console: FakeConsole, clock: Clock, recorder: ConsoleRecorder) => void;

async function castOf(version: 2 | 3, tell: Told, options: { input?: boolean; title?: string } = {}): Promise<string> {
  const [console, clock, sink] = [new FakeConsole({ columns: 40, rows: 6 }), new Clock(), new PassThrough()];
  const written = text(sink);
  const recorder = recordAsciicast(console, sink, { version, clock: clock.read, ...options });
  tell(console, clock, recorder);
  await recorder.close();
  return written;
}

function eventsOf(cast: string): unknown[] {
  return cast
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line));
}

const session: Told = (console, clock) => {
  const wide = Buffer.from('kanji 漢字 and é');
  clock.now += 500;
  console.say(wide.subarray(0, 8)); // in the middle of the first wide character
  clock.now += 250;
  console.say(wide.subarray(8));
  clock.now += 250;
  console.become({ columns: 60, rows: 8 });
  console.say(`\r\n${'x'.repeat(50)}`);
  clock.now += 1000;
  console.lose(4096n);
  console.say('\r\nbehind the gap \x1b[1;31mred\x1b[0m');
  clock.now += 500;
  console.emit('exit', { status: 3, signal: null });
};

const screen = ['kanji 漢字 and é', 'x'.repeat(50), 'behind the gap red'];

test('an asciicast of version 2 has the time since its beginning, sizes, marks, and characters that were cut in two', async () => {
  const cast = await castOf(2, session);
  const header = JSON.parse(cast.split('\n')[0] as string);
  assert.deepEqual(
    [header.version, header.width, header.height, header.title, header.env],
    [2, 40, 6, 'fake', { TERM: 'xterm-256color' }],
  );
  assert.ok(Math.abs(header.timestamp - Date.now() / 1000) < 60);
  assert.deepEqual(eventsOf(cast), [
    [0, 'm', 'attached to fake'],
    [0.5, 'o', 'kanji '],
    [0.75, 'o', '漢字 and é'],
    [1, 'r', '60x8'],
    [1, 'o', `\r\n${'x'.repeat(50)}`],
    [2, 'm', 'gap: 4096 bytes from position 71 are not kept any more'],
    [2, 'o', '\r\nbehind the gap \x1b[1;31mred\x1b[0m'],
    [2.5, 'm', 'the command ended with status 3'],
  ]);
});

test('one of version 3 has the time since the event before, without a sum of errors, and the exit', async () => {
  const cast = await castOf(3, session);
  assert.deepEqual(JSON.parse(cast.split('\n')[0] as string).term, { cols: 40, rows: 6, type: 'xterm-256color' });
  assert.deepEqual(eventsOf(cast).at(-1), [0, 'x', '3']);
  const third = await castOf(3, (console, clock) => {
    for (let event = 1; event <= 3000; event++) {
      clock.now = 1000 + event / 3;
      console.say('.');
    }
  });
  const times = eventsOf(third).map((event) => (event as [number])[0]);
  const sum = times.reduce((all, one) => all + Math.round(one * 1e6), 0);
  assert.equal(sum, 1_000_000);
});

test('an exit by a signal is the number that shells give', async () => {
  const ended = (signal: string) => castOf(3, (console) => console.emit('exit', { status: null, signal }));
  assert.deepEqual(eventsOf(await ended('SIGKILL')).slice(1), [
    [0, 'm', 'the command ended by SIGKILL'],
    [0, 'x', '137'],
  ]);
  assert.deepEqual(eventsOf(await ended('toString\x1b[2J')).at(-1), [0, 'x', '128']);
});

test('what is typed is in an asciicast only where it was asked for', async () => {
  const typed: Told = (_, __, recorder) => recorder.input('secret\r');
  assert.deepEqual(eventsOf(await castOf(2, typed)).slice(1), []);
  assert.deepEqual(eventsOf(await castOf(2, typed, { input: true })).slice(1), [[0, 'i', 'secret\r']]);
});

test('half a character before a gap stays one, and does not swallow what comes behind', async () => {
  const cast = await castOf(2, (console) => {
    console.say(Uint8Array.of(0xe6, 0xbc));
    console.lose(1n);
    console.say('a');
    console.say(Uint8Array.of(0xff));
  });
  const outputs = eventsOf(cast).filter((event) => (event as string[])[1] === 'o');
  assert.deepEqual(
    outputs.map((event) => (event as string[])[2]),
    ['\ufffd', 'a', '\ufffd'],
  );
});

test('a connection that is lost and comes back is marked; a hostile name does nothing', async () => {
  const sink = new PassThrough();
  const written = text(sink);
  const console = new FakeConsole({ name: 'n\x1b[2J\n' });
  const recorder = recordAsciicast(console, sink);
  for (const state of ['connecting', 'open', 'lost', 'connecting', 'open'] as const) console.emit('state', state);
  await recorder.close();
  assert.deepEqual(
    eventsOf(await written).map((event) => (event as string[])[2]),
    ['attached to n\\u001b[2J\\u000a', 'the connection is lost', 'attached to n\\u001b[2J\\u000a again'],
  );
});

test('a slow file holds no more than the limit, and a mark says how much is missing', async () => {
  const limit = 64 * 1024;
  let most = 0;
  const waiting: (() => void)[] = [];
  const chunks: Buffer[] = [];
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      waiting.push(done);
    },
  });
  const console = new FakeConsole();
  const recorder = recordAsciicast(console, slow, { limit });
  for (let round = 0; round < 1000; round++) {
    console.say('y'.repeat(10_000));
    most = Math.max(most, slow.writableLength);
  }
  console.become({ columns: 132, rows: 50 });
  assert.ok(most < limit + 16_384 + 100, `${most} bytes waited`);
  const drain = setInterval(() => waiting.shift()?.(), 0);
  while (slow.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
  console.say('behind');
  const { bytes, leftOut } = await recorder.close();
  clearInterval(drain);
  assert.equal(bytes + leftOut, 10_000_006);
  const events = eventsOf(Buffer.concat(chunks).toString()).map((event) => (event as string[]).slice(1));
  assert.deepEqual(events.slice(-3), [
    ['m', `gap: ${leftOut} bytes were not recorded, whoever writes the recording was too slow`],
    ['r', '132x50'],
    ['o', 'behind'],
  ]);
});

test('a file that fails ends the recording and not the console', async () => {
  const told: Error[] = [];
  const console = new FakeConsole();
  const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('ENOSPC: no space left on device')) });
  const recorder = recordAsciicast(console, full, { failed: (error) => told.push(error) });
  await assert.rejects(recorder.close(), { code: 'ERR_ISMIO_WRITE_FILE', message: /ENOSPC/ });
  console.say('on it goes');
  assert.equal(told.length, 1);
  assert.equal(console.listenerCount('data'), 0);
});

test('options that are none are refused', () => {
  const console = new FakeConsole();
  const record = (options: object) => thrownBy(() => recordAsciicast(console, new PassThrough(), options)).code;
  for (const options of [{ version: 1 }, { versoin: 2 }, { limit: 1 }])
    assert.equal(record(options), 'ERR_ISMIO_OPTION');
  for (const options of [{ input: 'yes' }, { failed: 1 }, { term: 7 }]) {
    assert.equal(record(options), 'ERR_ISMIO_ARGUMENT_TYPE');
  }
  const none = { timing: new PassThrough() } as unknown as Parameters<typeof recordScript>[1];
  assert.equal(thrownBy(() => recordScript(console, none)).code, 'ERR_ISMIO_ARGUMENT_TYPE');
  assert.equal(console.listenerCount('data'), 0);
});

const noScriptreplay =
  spawnSync('scriptreplay', ['--version']).error === undefined ? false : 'scriptreplay is not there (Debian: bsdutils)';

describe('scriptreplay', { skip: noScriptreplay }, () => {
  async function recorded(t: TestContext, tell: Told): Promise<(...options: string[]) => Buffer> {
    const folder = temporaryFolder(t);
    const [timing, output, input] = ['timing', 'output', 'input'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const [console, clock] = [new FakeConsole({ columns: 40, rows: 6 }), new Clock()];
    const sinks = {
      timing: createWriteStream(timing),
      output: createWriteStream(output),
      input: createWriteStream(input),
    };
    const recorder = recordScript(console, sinks, { clock: clock.read });
    tell(console, clock, recorder);
    await recorder.close();
    return (...options) =>
      execFileSync('scriptreplay', ['-T', timing, '-O', output, '-I', input, '-d', '1000', ...options]);
  }

  test('prints exactly the bytes, whatever they are', async (t) => {
    const every = Uint8Array.from({ length: 40_000 }, (_, index) => (index * 31) % 256);
    const play = await recorded(t, (console, clock, recorder) => {
      console.say(every.subarray(0, 3));
      clock.now += 100;
      recorder.input('ls\r');
      console.lose(5n);
      console.say(every.subarray(3));
    });
    const printed = play('-x', 'out', '-c', 'never');
    assert.deepEqual(printed.subarray(0, every.length), Buffer.from(every));
    assert.equal(printed.subarray(every.length).toString().trim(), '');
    assert.equal(play('-x', 'in', '-c', 'never').toString().trimEnd(), 'ls\r'.trimEnd());
  });

  test('tells the sizes as signals, and what is known of the session', async (t) => {
    const play = await recorded(t, session);
    assert.match(play('-x', 'signal').toString(), /SIGWINCH +ROWS=8 COLS=60/);
    const summary = play('--summary').toString();
    assert.match(summary, /COLUMNS: +40\n +LINES: +6\n/);
    assert.match(summary, /MARK: +gap: 4096 bytes from position 71 are not kept any more\n/);
    assert.match(summary, /DURATION: +2\.500000\n +EXIT_CODE: +3\n/);
  });
});

describe('asciinema-player', { skip: noBrowser }, () => {
  const bundle = join(packageRoot, 'node_modules', 'asciinema-player', 'dist', 'bundle');
  let browser: Browser;
  before(async () => {
    browser = await Browser.start();
  });
  after(() => browser?.close());

  /** Opens a page that has the player and the cast in itself. */
  async function playerOf(t: TestContext, cast: string): Promise<Page> {
    const [script, style] = ['asciinema-player.min.js', 'asciinema-player.css'].map((name) =>
      readFileSync(join(bundle, name), 'utf8'),
    ) as [string, string];
    const data = JSON.stringify(cast).replaceAll('<', '\\u003c');
    const path = join(temporaryFolder(t), 'cast.html');
    writeFileSync(
      path,
      `<!doctype html><meta charset="utf-8"><style>${style}</style><div id="here"></div>
<script>${script.replaceAll('</script', '<\\/script')}</script>
<script>
const heard = [];
const player = AsciinemaPlayer.create({ data: ${data} }, document.getElementById('here'), { preload: true });
player.addEventListener('marker', ({ label }) => heard.push(label));
</script>`,
    );
    const { page, complaints } = await browser.open(path);
    t.after(async () => {
      await page.close();
      assert.deepEqual(complaints, []);
    });
    return page;
  }

  async function screenAt(page: Page, time: number): Promise<string[]> {
    await page.evaluate(`player.seek(${time})`);
    await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    return (await page.locator('.ap-term .ap-line').allTextContents()).map((line) => line.trimEnd());
  }

  for (const version of [2, 3] as const) {
    test(`shows a cast of version ${version}: its sizes, wide characters, colours and marks`, async (t) => {
      const page = await playerOf(t, await castOf(version, session));
      assert.deepEqual(await screenAt(page, 0.6), ['kanji', '', '', '', '', '']);
      assert.deepEqual(await screenAt(page, 2.5), [...screen, '', '', '', '', '']);
      assert.equal(await page.locator('.ap-line').nth(2).locator('.ap-bold').textContent(), 'red'.padEnd(45));
      assert.equal(await page.evaluate('player.getDuration()'), 2.5);
      const ended = "new Promise((resolve) => player.addEventListener('ended', resolve))";
      await page.evaluate(`player.seek(0.1).then(() => { player.play(); return ${ended}; })`);
      assert.deepEqual(await page.evaluate('heard'), [
        'gap: 4096 bytes from position 71 are not kept any more',
        'the command ended with status 3',
      ]);
    });
  }

  test('shows docs/console.cast: a window that grows, colours, and how the command ended', async (t) => {
    const page = await playerOf(t, readFileSync(join(packageRoot, 'docs', 'console.cast'), 'utf8'));
    const early = await screenAt(page, 6);
    assert.deepEqual([early.length, early[3]], [16, '16 72']);
    const late = await screenAt(page, 22.8);
    assert.deepEqual([late.length, late.includes('20 84'), late.includes('1 2 3 4 5 $ exit 7')], [20, true, true]);
  });
});
