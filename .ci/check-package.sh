#!/usr/bin/env bash
# check-package.sh NODE..: packs, installs the tarball in an empty folder without scripts, and uses it there as a stranger
# would, with each of these Node.js programs. Then takes the shipped binary away and builds another.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
step() { echo "- $*"; }
fail() { echo "check-package.sh: $*" >&2; exit 1; }

step npm pack
npm pack --silent --pack-destination "$place" >/dev/null
tarball=$(echo "$place"/ismio-*.tgz)
tar -tzf "$tarball" | sed 's,^package/,,' | sort >"$place/contents"
for wanted in README.md LICENSE CHANGELOG.md native/ismio.gypi src/addon/build.ts dist/src/cli/main.js dist/bench/child.js \
  bench/native/floors.cc prebuilds/linux-x64/ismio.glibc.node prebuilds/linux-x64/floors.glibc.node; do
  grep -qxF "$wanted" "$place/contents" || fail "$wanted is not in the tarball"
done
if grep -E '^(binding\.gyp|test/|bench/[^/]+$|bench/suites/|build/|\.ci/|dist/test/|dist/bench/checks/)|\.map$' "$place/contents"; then
  fail "these do not belong in the tarball"
fi
tar -xzOf "$tarball" package/package.json >"$place/manifest.json"
node -e 'process.exit(JSON.parse(fs.readFileSync(process.argv[1])).scripts?.install === undefined ? 0 : 1)' "$place/manifest.json" ||
  fail "the package has an install script"
echo "  $(wc -l <"$place/contents") files, $(stat -c %s "$tarball") bytes"

step npm install, without scripts, in an empty folder
mkdir "$place/project"
cd "$place/project"
echo '{ "private": true }' >package.json
npm install --silent --no-fund --no-audit --ignore-scripts "$tarball"

use='const region = emulate({ size: 4096 });
  region.store64(8, 0x123456789abcdef0n);
  const bytes = new Uint8Array(8);
  region.read(8, bytes);
  if (region.load64(8) !== 0x123456789abcdef0n || bytes[0] !== 0xf0) throw new Error("not what was stored");
  console.log("  " + process.version, info().binary.split("node_modules/").pop());'
echo "import { emulate, info } from 'ismio'; $use" >use.mjs
echo "const { emulate, info } = require('ismio'); $use" >use.cjs
for program in "$@"; do
  step "import and require with $("$program" --version)"
  "$program" use.mjs
  "$program" use.cjs
done

step types, for a module and for CommonJS, with this TypeScript and with the least that works
sed 's/console.log.*//' use.mjs >use.mts
sed "s/console.log.*//; s/^const { emulate, info } = require('ismio')/import { emulate, info } from 'ismio'/" use.cjs >use.cts
echo 'void info;' | tee -a use.mts >>use.cts
mkdir "$place/least"
npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$place/least" typescript@5.2.2
for compiler in "$root" "$place/least"; do
  for module in node16 nodenext; do
    "$compiler/node_modules/.bin/tsc" --strict --noEmit --target es2022 --module $module \
      --types node --typeRoots "$root/node_modules/@types" use.mts use.cts
  done
done

step the command line
npx ismio info --json >info.json
npx ismio plan 10 5000 >/dev/null

step the benchmark
npx ismio bench --list >list.txt
grep -q '^\* queue/stores-8B/adjacent ' list.txt || fail "$(cat list.txt)"
npx ismio bench --quick --filter '^(queue|access)/' --json quick.json >table.txt || fail "$(cat table.txt)"
node -e 'const { schema, results, skipped } = JSON.parse(fs.readFileSync("quick.json"));
  if (schema !== "ismio-bench/1" || results.length === 0 || skipped.length > 0) throw new Error(JSON.stringify(skipped));
  console.log(`  ${results.length} benchmarks, each with its floor`);'

step without a binary the error says what to run
rm node_modules/ismio/prebuilds/linux-x64/*.node
if node use.mjs 2>error.txt; then fail "it worked without a binary"; fi
grep -q ERR_ISMIO_NO_BINARY error.txt || fail "$(cat error.txt)"
grep -q 'npx ismio build' error.txt || fail "$(cat error.txt)"

step npx ismio build
npx ismio build
node use.mjs
[ "$(find node_modules/ismio -maxdepth 1 -name 'build-from-source-*')" = '' ] || fail "the build left its folder behind"
