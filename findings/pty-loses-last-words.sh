#!/bin/bash
# Node.js 20 (libuv 1.46) and @lydell/node-pty 1.1.0 on Linux: what a command said last is lost where it ends at once. Once the other
# end of a terminal is closed, libuv says end of file as soon as one read brought less than there was room for, and a read of a
# terminal never brings more than 4095 bytes; whatever the kernel still has is not read. 20,000 short lines are enough. A program
# in C that reads the same terminal until EIO gets all of it, and so does whoever reads on from the descriptor in 'end'.
#
# Seen: of 10 runs of `seq 1 20000` in a pseudo-terminal (128,894 bytes with their carriage returns) most are short of some
# kilobytes; of 10 runs that read on, none is.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
case $(node --version) in v20.*) ;; *) exit 2 ;; esac
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
echo '{"private": true}' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error @lydell/node-pty@1.1.0 || exit 2

cat > runs.cjs <<'J'
const { readSync } = require('node:fs');
const { spawn } = require('@lydell/node-pty');
const whole = 128_894;
function run(readsOn) {
  return new Promise((resolve) => {
    const pty = spawn('seq', ['1', '20000'], { encoding: null });
    let bytes = 0;
    pty.onData((part) => (bytes += part.length));
    if (readsOn) {
      pty.on('end', () => {
        try {
          for (let length = 1; length > 0; bytes += length) length = readSync(pty.fd, Buffer.alloc(8192));
        } catch (error) {
          if (error.code !== 'EIO') throw error;
        }
      });
    }
    pty.onExit(() => resolve(bytes));
  });
}
(async () => {
  const short = { plain: 0, readOn: 0 };
  for (let i = 0; i < 10; i++) {
    if ((await run(false)) !== whole) short.plain++;
    if ((await run(true)) !== whole) short.readOn++;
  }
  console.log(`short of 10 runs: ${short.plain} as node-pty reads, ${short.readOn} that read on in 'end'`);
  process.exit(short.plain > 0 && short.readOn === 0 ? 0 : 1);
})();
J
node runs.cjs
