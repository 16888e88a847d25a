// How files are written: what a path leads to decides it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { placeOf } from '../src/support/files/place.js';
import { checkWritable, makeTemporary, moveTo, temporaryName, writeWhole } from '../src/support/files/write.js';
import { temporaryFolder } from './support/files.js';

const module = new URL('../src/support/files/write.js', import.meta.url).href;
const root = process.getuid?.() === 0;

/** Runs a line of bash, in which $W PATH TEXT writes. */
function bash(line: string, folder: string, prefix: readonly string[] = []): { status: number | null; stderr: string } {
  const script = join(folder, 'write.mjs');
  writeFileSync(
    script,
    `import { checkWritable, writeWhole } from '${module}';
     const [, , path, text] = process.argv;
     checkWritable(path); writeWhole(path, text);`,
  );
  const env = { ...process.env, W: `${process.execPath} ${script}`, NODE_TEST_CONTEXT: undefined };
  const [program = 'bash', ...words] = [...prefix, 'bash', '-c', line];
  const { status, stderr } = spawnSync(program, words, { cwd: folder, env, encoding: 'utf8' });
  return { status, stderr };
}

/** Null where this may be done, or the reason for which it may not. */
function withoutMounts(): string | false {
  const { status, stderr } = spawnSync('unshare', ['-m', 'true'], { encoding: 'utf8' });
  return status === 0 ? false : `no mounts can be made here: ${stderr || 'there is no unshare'}`;
}

function textOf(...parts: string[]): string {
  return readFileSync(join(...parts), 'utf8');
}

test('a standard output that is a file is written to where it stands, also by way of links to it', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('/dev/stdout', join(folder, 'link'));
  symlinkSync('link', join(folder, 'second'));
  for (const path of ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', '/proc/thread-self/fd/1', 'link', 'second']) {
    const line = `echo before > log; ( echo first; $W ${path} middle; echo last ) >> log`;
    assert.deepEqual(bash(line, folder), { status: 0, stderr: '' });
    assert.equal(textOf(folder, 'log'), 'before\nfirst\nmiddlelast\n', path);
  }
  assert.ok(lstatSync(join(folder, 'link')).isSymbolicLink());
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'log', 'second', 'write.mjs']);
});

test('a standard output that is not appended to, and one that has no name any more, lose nothing either', (t) => {
  const folder = temporaryFolder(t);
  assert.equal(bash('( echo first; $W /dev/stdout middle; echo last ) > log', folder).status, 0);
  assert.equal(textOf(folder, 'log'), 'first\nmiddlelast\n');
  assert.equal(bash('exec 4<> gone; rm gone; $W /dev/fd/4 here; cat /proc/self/fd/4 > kept', folder).status, 0);
  assert.equal(textOf(folder, 'kept'), 'here');
  assert.equal(bash('$W /dev/stdout piped | cat > pipe', folder).status, 0);
  assert.equal(textOf(folder, 'pipe'), 'piped');
});

test('a descriptor that is not open, or open for reading alone, is told before anything is measured', (t) => {
  const folder = temporaryFolder(t);
  const own = spawnSync('true').pid; // a process that is no more
  assert.throws(() => checkWritable('/dev/fd/987'), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'EBADF' });
  assert.throws(() => checkWritable(`/proc/${own}/fd/1`), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ENOENT' });
  const { status, stderr } = bash('$W /dev/fd/5 x 5< write.mjs', folder);
  assert.notEqual(status, 0);
  assert.match(stderr, /cannot write \/dev\/fd\/5: EBADF/);
});

test('a pipe that nobody empties for a while takes all of it, when it has been made non-blocking', (t) => {
  const folder = temporaryFolder(t);
  const line = `${process.execPath} --input-type=module -e "
    import { writeWhole } from '${module}';
    process.stdout.write('first');
    writeWhole('/dev/stdout', 'x'.repeat(500000));" | ( sleep 0.3; cat > all )`;
  assert.deepEqual(bash(line, folder), { status: 0, stderr: '' });
  assert.equal(textOf(folder, 'all').length, 500005);
});

test('behind a link the file is replaced, also one that is not there yet, and the link stays', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync('elsewhere/file', join(folder, 'link'));
  for (const text of ['new', 'newer']) {
    writeWhole(join(folder, 'link'), text);
    assert.equal(textOf(folder, 'elsewhere', 'file'), text);
  }
  assert.ok(lstatSync(join(folder, 'link')).isSymbolicLink());
  assert.deepEqual(readdirSync(join(folder, 'elsewhere')), ['file']);
  symlinkSync('round', join(folder, 'round'));
  assert.throws(() => writeWhole(join(folder, 'round'), 'x'), { code: 'ERR_ISMIO_WRITE_FILE', errno: 'ELOOP' });
});

test('a file keeps its mode, its owner and its other names', {
  skip: root ? false : 'only root can give files away',
}, (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'file');
  writeFileSync(path, 'a longer text');
  chmodSync(path, 0o640);
  chownSync(path, 1234, 4321);
  writeWhole(path, 'short');
  const { mode, uid, gid } = statSync(path);
  assert.deepEqual([mode & 0o7777, uid, gid], [0o640, 1234, 4321]);
  linkSync(path, join(folder, 'other'));
  writeWhole(path, 'new');
  assert.equal(textOf(folder, 'other'), 'new');
  assert.equal(statSync(path).nlink, 2);
});

test('a file that is mounted by itself is written to in place', { skip: withoutMounts() }, (t) => {
  const folder = temporaryFolder(t);
  const line = `mount --make-rprivate / && echo 'some older and longer text' > host && touch file && mount --bind host file &&
    $W file new && umount file`;
  assert.deepEqual(bash(line, folder, ['unshare', '-m']), { status: 0, stderr: '' });
  assert.equal(textOf(folder, 'host'), 'new');
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'host', 'write.mjs']);
});

test('a full disk leaves what was there, also where the file can only be written in place', {
  skip: withoutMounts(),
}, (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'small'));
  const line = `mount -t tmpfs -o size=64k none small && echo old > small/file &&
    ln small/file small/second && ! $W small/file "$(head -c 100000 /dev/zero | tr '\\0' x)" &&
    cat small/second > after && ls -A small > left`;
  const { status, stderr } = bash(line, folder, ['unshare', '-m']);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /ENOSPC/);
  assert.equal(textOf(folder, 'after'), 'old\n');
  assert.equal(textOf(folder, 'left'), 'file\nsecond\n');
});

test('in a folder that takes no new files the file itself is written to, and a new one is refused', {
  skip: withoutMounts(),
}, (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'fixed'));
  const line = `touch host && echo old > fixed/file && mount --bind fixed fixed && mount --bind host fixed/file &&
    mount -o remount,ro,bind fixed && $W fixed/file new && $W fixed/other new`;
  const { status, stderr } = bash(line, folder, ['unshare', '-m']);
  assert.notEqual(status, 0);
  assert.match(stderr, /cannot write fixed\/other: EROFS/);
  assert.equal(textOf(folder, 'host'), 'new');
});

test('names as long as names can be are written, and the temporary one is no longer', (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['x'.repeat(255), 'ü'.repeat(127), '😀'.repeat(63)]) {
    checkWritable(join(folder, name));
    writeWhole(join(folder, name), 'text');
    assert.equal(textOf(folder, name), 'text');
    assert.ok(Buffer.byteLength(temporaryName(name, '1-0-0.tmp')) <= 255);
  }
  assert.equal(readdirSync(folder).length, 3);
});

test('a path that ends as a folder does, and one below a file, are refused at once', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  for (const act of [checkWritable, (path: string) => writeWhole(path, 'x')]) {
    assert.throws(() => act(join(folder, 'new/')), { errno: 'EISDIR' });
    assert.throws(() => act(folder), { errno: 'EISDIR' });
    assert.throws(() => act(join(folder, 'file', 'below')), { errno: 'ENOTDIR' });
    assert.throws(() => act(join(folder, 'none', 'below')), { errno: 'ENOENT' });
  }
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('a file that was made beside gets its place as one that is written at once does', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'first'), 'a longer text');
  linkSync(join(folder, 'first'), join(folder, 'second'));
  symlinkSync('first', join(folder, 'link'));
  const place = placeOf(join(folder, 'link'));
  const { path } = makeTemporary(place);
  writeFileSync(path, 'whole');
  moveTo(path, place);
  assert.equal(existsSync(path), false);
  assert.equal(textOf(folder, 'second'), 'whole');
});
