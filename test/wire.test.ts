// The table of words that TypeScript and the addon share.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { info } from 'ismio';
import { differences, table } from '../src/addon/wire.js';

test('the addon that was loaded has the same table', () => {
  const addon = createRequire(import.meta.url)(info().binary) as { layout: Record<string, number> };
  assert.deepEqual(differences(addon.layout), []);
  assert.deepEqual({ ...addon.layout }, { ...table });
});

test('each word that differs, lacks or is too much is named', () => {
  for (const name of Object.keys(table)) {
    const changed = differences({ ...table, [name]: (table[name] as number) + 1 });
    assert.deepEqual(changed, [`${name}: ${table[name]} here, ${(table[name] as number) + 1} in the addon`]);
    const { [name]: _, ...rest } = table;
    assert.deepEqual(differences(rest), [`${name}: ${table[name]} here, undefined in the addon`]);
  }
  assert.deepEqual(differences({ ...table, extra: 5 }), ['extra: undefined here, 5 in the addon']);
  assert.equal(differences({}).length, Object.keys(table).length);
});
