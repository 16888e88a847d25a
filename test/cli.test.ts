// The command line as its users meet it: a process, its words, its output, its exit code.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pattern } from './support/bytes.js';
import { packageRoot } from './support/child.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface How {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** The reader goes away after the first output. */
  readonly leaveEarly?: boolean;
}

const [command, ...prefix] = (process.env['ISMIO_TEST_NODE'] ?? process.execPath).split(' ') as [string, ...string[]];
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');

function ismio(words: string, how: How = {}): Promise<Ended> {
  return ismioWords(words.split(' '), how);
}

function ismioWords(words: readonly string[], how: How = {}): Promise<Ended> {
  const child = spawn(command, [...prefix, main, ...words], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, ...how.env },
    timeout: patience(120_000),
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (how.leaveEarly === true) child.stdout.destroy();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined); // a command that wants no input may be gone before it is written
  child.stdin.end(how.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Checks that it succeeded without a word on stderr, and reads its JSON. */
function jsonOf({ code, stdout, stderr }: Ended): Record<string, unknown> {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Checks that it failed with one line on stderr, beginning with this error code, and nothing on stdout. */
function checkRefused({ code, stdout, stderr }: Ended, exitCode: number, errorCode: string): void {
  assert.match(stderr, new RegExp(`^ismio: ${errorCode}: [^\\n]+\\n$`));
  assert.deepEqual({ code, stdout }, { code: exitCode, stdout: '' });
}

describe('ismio', { concurrency: 2 }, () => {
  test('without words tells its commands, also where there is no addon', async () => {
    const { code, stdout, stderr } = await ismioWords([], { env: { ISMIO_BINARY: '/nonexistent/ismio.node' } });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    for (const name of ['demo', 'info', 'plan', 'load', 'store', 'dump', 'write', 'build']) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    }
  });

  test('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await ismio('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('info without an addon fails with what to run', async () => {
    const ended = await ismio('info', { env: { ISMIO_BINARY: '/nonexistent/ismio.node' } });
    checkRefused(ended, 1, 'ERR_ISMIO_NO_BINARY');
    assert.match(ended.stderr, /npx ismio build/);
  });

  test('info --json names the addon and the kernels', async () => {
    const told = jsonOf(await ismio('info --json')) as {
      arch: string;
      binary: string;
      kernels: Record<string, unknown>;
    };
    assert.equal(told.arch, process.arch);
    assert.ok(existsSync(told.binary));
    for (const use of ['cpu', 'memory', 'mapped', 'resource']) assert.equal(typeof told.kernels[use], 'string', use);
  });

  test('a word that is no command, and an option that is none, are usage errors', async () => {
    const [noCommand, noOption] = await Promise.all([ismio('lod emulated:4K 0'), ismio('load emulated:4K 0 --with 4')]);
    checkRefused(noCommand, 2, 'ERR_ISMIO_USAGE');
    assert.match(noCommand.stderr, /'lod'.*load/);
    checkRefused(noOption, 2, 'ERR_ISMIO_USAGE');
  });

  test('an offset past the end fails with exit code 1', async () => {
    checkRefused(await ismio('load emulated:4K 4K'), 1, 'ERR_ISMIO_OUT_OF_RANGE');
  });

  test('a rule that no device has is a usage error', async () => {
    checkRefused(await ismio('plan 0 64 --boundary 100'), 2, 'ERR_ISMIO_OPTION');
  });

  test('plan lists what a strict device would be given', async () => {
    const ended = await ismio('plan 0xffc 20 --alignment strict --json');
    const { operations, ...rest } = jsonOf(ended);
    assert.deepEqual(operations, [
      { kind: 'store', offset: 0xffc, length: 4 },
      { kind: 'storeBlock', offset: 0x1000, length: 16 },
    ]);
    const rules = { maxStoreBlock: 4096, boundary: 4096, alignment: 'strict', merge: 'window', singleStores: true };
    assert.deepEqual(rest, { offset: 0xffc, length: 20, rules, storeBlocks: 1, stores: 1 });
  });

  test('plan lists the beginning of a long plan, and says how much it left out', async () => {
    const { code, stdout } = await ismio('plan 0 1M');
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[1] as string, /^ +0x1000 {2}store block {2}4096$/);
    assert.deepEqual(lines.slice(-2), [
      '.. and 224 more operations; --all lists them',
      '256 operations for 1,048,576 bytes: 256 store blocks and 0 stores',
    ]);
  });

  test('store puts its bytes in the order asked for, and load reads them back', async (t) => {
    const path = temporaryFile(t, 64);
    const stored = await ismio(`store file:${path} 0x10 0x12345678 --width 4 --order be`);
    assert.deepEqual(stored, { code: 0, stdout: `stored 0x12345678 at 0x10 of file:${path}\n`, stderr: '' });
    assert.deepEqual([...readFileSync(path).subarray(16, 20)], [0x12, 0x34, 0x56, 0x78]);
    const loaded = jsonOf(await ismio(`load file:${path} 16 --json`));
    assert.deepEqual(loaded, {
      target: `file:${path}`,
      offset: '0x10',
      width: 8,
      order: 'le',
      value: '0x0000000078563412',
    });
  });

  test('store refuses a value that does not fit the width', async () => {
    checkRefused(await ismio('store emulated:4K 0 256 --width 1'), 2, 'ERR_ISMIO_VALUE');
  });

  test('write takes what is piped in, and counts what it issued', async (t) => {
    const path = temporaryFile(t, 16384);
    const bytes = pattern(9000);
    const told = jsonOf(await ismio(`write file:${path} 100 --json`, { input: bytes }));
    const { seconds, ...rest } = told;
    assert.ok((seconds as number) >= 0);
    assert.deepEqual(rest, { target: `file:${path}`, offset: '0x64', bytes: 9000, storeBlocks: 3, stores: 0 });
    const expected = new Uint8Array(16384);
    expected.set(bytes, 100);
    assert.deepEqual(new Uint8Array(readFileSync(path)), expected);
  });

  test('write in pieces takes no more operations than at once', async (t) => {
    const source = temporaryFile(t, 2 * 1048576 + 5);
    const told = jsonOf(await ismio(`write emulated:4M 1 --file ${source} --json`));
    assert.deepEqual([told['storeBlocks'], told['stores']], [513, 0]);
  });

  test('write refuses more than there is room for before it writes anything', async (t) => {
    const path = temporaryFile(t, 64);
    checkRefused(await ismio(`write file:${path} 60`, { input: 'eight by' }), 1, 'ERR_ISMIO_OUT_OF_RANGE');
    assert.deepEqual(new Uint8Array(readFileSync(path)), new Uint8Array(64));
  });

  test('write refuses hex digits without a pair', async () => {
    checkRefused(await ismio('write emulated:4K 0 --hex abc'), 2, 'ERR_ISMIO_USAGE');
  });

  test('dump shows bytes in hex and as text, equal lines once', async (t) => {
    const path = temporaryFile(t, 80);
    const written = await ismioWords(['write', `file:${path}`, '0x41', '--text', 'Region']);
    assert.equal(written.code, 0);
    const { stdout } = await ismio(`dump file:${path} 0 0x48`);
    assert.equal(
      stdout,
      [
        '00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|',
        '*',
        '00000040  00 52 65 67 69 6f 6e 00                           |.Region.|',
        '00000048',
        '',
      ].join('\n'),
    );
  });

  test('a reader that has seen enough ends a dump quietly', async (t) => {
    const path = temporaryFile(t, pattern(4 << 20));
    const { code, stderr } = await ismio(`dump file:${path} 0 4M`, { leaveEarly: true });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });

  test('a target that is no target, and a file that is not there, are told apart', async (t) => {
    const path = join(temporaryFolder(t), 'missing');
    checkRefused(await ismio('dump disk:/dev/null'), 2, 'ERR_ISMIO_USAGE');
    checkRefused(await ismio(`dump file:${path}`), 1, 'ERR_ISMIO_OPEN');
  });
});

interface DemoPart {
  region: string;
  syntheticNanoseconds: number | null;
  bytes: number;
  sha256: string;
  outcomes: { way: string; operations: number; verified: boolean; sha256: string; ratio: number; seconds: number }[];
}

describe('ismio demo', { concurrency: 2 }, () => {
  const bytes = pattern(200_003);
  const words = Math.floor(bytes.length / 8) + (bytes.length % 8);
  const blocks = Math.ceil(bytes.length / 4096);

  test('--json reports every way of both parts: verified, with the exact number of operations', async (t) => {
    const path = temporaryFile(t, bytes);
    const told = jsonOf(await ismio(`demo ${path} --json --threads 2 --cost 200`));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const { parts, ...rest } = told as { parts: DemoPart[] };
    assert.deepEqual(rest, { file: path, fileBytes: bytes.length, threads: 2, verified: true });
    assert.deepEqual(
      parts.map(({ syntheticNanoseconds }) => syntheticNanoseconds),
      [null, 200],
    );
    for (const part of parts) {
      assert.deepEqual([part.bytes, part.sha256], [bytes.length, sha256]);
      const counts = part.outcomes.slice(0, 4).map(({ way, operations }) => [way, operations]);
      assert.deepEqual(counts, [
        ['per-word stores', words],
        ['planned writes', blocks],
        ['merged queue', blocks],
        ['pool of 2', blocks],
      ]);
      assert.ok(part.outcomes.every((outcome) => outcome.verified && outcome.sha256 === sha256 && outcome.seconds > 0));
    }
  });

  test('draws in 80 columns, and says what is synthetic and which part of the file it moved', async (t) => {
    const path = temporaryFile(t, bytes);
    const { code, stdout, stderr } = await ismio(`demo ${path} --limit 64K --cost 200`);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const tooLong = stdout.split('\n').filter((line) => line.length > 80 && !line.includes(path));
    assert.deepEqual(tooLong, []);
    assert.match(stdout, /SYNTHETIC/);
    assert.match(stdout.replace(/\s+/g, ' '), /The first 65,536 of the file's 200,003 bytes/);
    assert.match(stdout, /^ {2}planned writes .* 16 .*equal/m);
    assert.match(stdout, /^ {2}per-word stores +[▏▎▍▌▋▊▉█]+ /m);
  });

  test('an empty file is refused', async (t) => {
    const path = temporaryFile(t, 0);
    checkRefused(await ismio(`demo ${path}`), 1, 'ERR_ISMIO_FILE_EMPTY');
  });
});
