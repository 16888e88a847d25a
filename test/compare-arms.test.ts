// The copies of the builds that a comparison loads.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { makeArms, renewAddons } from '../bench/compare/arms.js';
import type { BuiltSide } from '../bench/compare/sides.js';
import { temporaryFolder } from './support/files.js';

const addons = ['build/Release/ismio.node', 'prebuilds/linux-x64/ismio.glibc.node'];

/** A folder that looks as a build does. */
function build(folder: string): BuiltSide {
  for (const file of [...addons, 'dist/ismio.js', 'package.json']) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `${folder} has ${file}`);
  }
  return { folder, spec: '', kind: 'directory', version: '', commit: null };
}

describe('the arms of a comparison', () => {
  test('are copies of their own, base twice', (t) => {
    const scratch = temporaryFolder(t);
    const [base, head] = [build(join(scratch, 'one')), build(join(scratch, 'other'))];
    const arms = makeArms(base, head, join(scratch, 'arms'));
    for (const [arm, side] of [
      ['base', base],
      ['null', base],
      ['head', head],
    ] as const) {
      for (const file of addons) {
        assert.equal(readFileSync(join(arms[arm], file), 'utf8'), `${side.folder} has ${file}`);
        assert.notEqual(statSync(join(arms[arm], file)).ino, statSync(join(side.folder, file)).ino);
      }
    }
  });

  test('have their addons in other pages after a renewal, and the same in them', (t) => {
    const scratch = temporaryFolder(t);
    const [base, head] = [build(join(scratch, 'one')), build(join(scratch, 'other'))];
    const arms = makeArms(base, head, join(scratch, 'arms'));
    const files = Object.values(arms).flatMap((folder) => addons.map((file) => join(folder, file)));
    const before = files.map((file) => ({ content: readFileSync(file, 'utf8'), inode: statSync(file).ino }));
    renewAddons(arms);
    files.forEach((file, index) => {
      assert.equal(readFileSync(file, 'utf8'), before[index]?.content);
      assert.notEqual(statSync(file).ino, before[index]?.inode);
      assert.deepEqual(readdirSync(dirname(file)), [basename(file)], 'nothing is left beside it');
    });
  });
});
