#!/bin/bash
# @lydell/node-pty 1.1.0 on Linux: each command that is started has this process's end of every terminal that was made before it,
# because the descriptor of forkpty(3) is not marked close-on-exec. It can read what they say, and type at them.
#
# Seen: `sh` in a second terminal has a descriptor of /dev/ptmx, which is the first one's.
# Exit: 0 seen, 1 it has changed, 2 another machine or no package.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
echo '{"private": true}' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error @lydell/node-pty@1.1.0 || exit 2

cat > run.cjs <<'J'
const { spawn } = require('@lydell/node-pty');
const first = spawn('sleep', ['60'], {});
const second = spawn('sh', ['-c', 'ls -l /proc/$$/fd; sleep 1'], {});
let said = '';
second.onData((text) => (said += text));
second.onExit(() => {
  console.log(said);
  first.kill('SIGKILL');
  process.exit(said.includes('/dev/ptmx') ? 0 : 1);
});
J
node run.cjs
