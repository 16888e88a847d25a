// The table of words that TypeScript and the addon share.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { info } from 'ismio';
import { differences, layout } from '../src/wire.js';

test('the addon that was loaded has the same table', () => {
  const addon = createRequire(import.meta.url)(info().binary) as { layout: Record<string, number> };
  assert.deepEqual(differences(addon.layout), []);
  assert.deepEqual({ ...addon.layout }, { ...layout });
});

test('each word that differs, lacks or is too much is named', () => {
  for (const name of Object.keys(layout) as (keyof typeof layout)[]) {
    const changed = differences({ ...layout, [name]: layout[name] + 1 });
    assert.deepEqual(changed, [`${name}: ${layout[name]} here, ${layout[name] + 1} in the addon`]);
    const { [name]: _, ...rest } = layout;
    assert.deepEqual(differences(rest), [`${name}: ${layout[name]} here, undefined in the addon`]);
  }
  assert.deepEqual(differences({ ...layout, extra: 5 }), ['extra: undefined here, 5 in the addon']);
  assert.equal(differences({}).length, Object.keys(layout).length);
});
