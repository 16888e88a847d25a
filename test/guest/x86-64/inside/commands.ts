// The command line on a real sysfs. Which modules serve VFIO makes no difference to it, so one of the runs does it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ismio } from '../../../support/command.js';
import { places } from '../machine.js';
import { driverOf } from './setting.js';

test('ismio bind gives edu to vfio-pci, info finds nothing missing, unbind gives it back', async () => {
  const bound = await ismio(['bind', places.edu]);
  assert.equal(bound.code, 0, bound.stderr);
  assert.equal(driverOf(places.edu), 'vfio-pci');
  const after = await ismio(['info', places.edu]);
  assert.equal(after.code, 0, after.stdout);
  const unbound = await ismio(['unbind', places.edu]);
  assert.equal(unbound.code, 0, unbound.stderr);
  assert.equal(driverOf(places.edu), null);
});
