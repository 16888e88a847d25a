#!/usr/bin/env bash
# peers.sh: gets @riaskov/mmap-io, one of the peers that bench/suites/peers.ts measures against, into node_modules.
#
# It is no development dependency: it ships no binary, its install script downloads one or else compiles, and a failure of
# that would be a failure of npm ci. Here it is compiled with the node-gyp of this checkout. npm ci removes it again.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

npm install --silent --no-save --ignore-scripts --no-audit --no-fund @riaskov/mmap-io@1.4.3
cd node_modules/@riaskov/mmap-io
target=$PWD/build/binding/Release/$(node -p '`node-v${process.versions.modules}-${process.platform}-${process.arch}`')
"$root/node_modules/.bin/node-gyp" rebuild --module_name=mmap_io --module_path="$target" >build.log 2>&1 ||
  { tail -n 40 build.log >&2; echo "peers.sh: @riaskov/mmap-io did not build" >&2; exit 1; }
node -e 'require(".")'
echo "built $target/mmap_io.node"
