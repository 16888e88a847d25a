#!/usr/bin/env bash
# make.sh [FOLDER]: makes the three recordings anew, with this package's own recorder, from programs that do real work.
#
#   tar.ismrec        tar writes the sources of this package
#   sqlite.ismrec     sqlite3 fills a table, transaction by transaction; needs strace, which tells what it writes
#   terminal.ismrec   a session in a terminal, as it was shown; needs script (util-linux)
#
# Run `npm run build` first. The recordings in the repository were made by this script; they differ from run to run in
# times, and with the sources in what tar writes.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${1:-bench/recordings}")
for tool in tar sqlite3 strace script; do
  command -v "$tool" > /dev/null || { echo "make.sh: $tool is not installed" >&2; exit 1; }
done
ismio() { node dist/src/cli/main.js "$@"; }
programs=dist/bench/recordings
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - native src |
  ismio record -o "$folder/tar.ismrec" -- node $programs/tar.js

# 3,000 readings of a sensor in 60 transactions, then an index, an update and a delete.
{
  echo 'CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor TEXT, at INTEGER, value REAL);'
  for transaction in $(seq 0 59); do
    echo 'BEGIN;'
    for row in $(seq 0 49); do
      n=$((transaction * 50 + row))
      echo "INSERT INTO readings VALUES ($n, 'sensor-$((n % 7))', $((1700000000 + n * 60)), $((n * n % 1000)) / 10.0);"
    done
    echo 'COMMIT;'
  done
  echo 'CREATE INDEX by_sensor ON readings (sensor, at);'
  echo "UPDATE readings SET value = value + 1 WHERE sensor = 'sensor-3';"
  echo 'DELETE FROM readings WHERE id % 10 = 0;'
} > "$scratch/fill.sql"
cat > "$scratch/mirror" <<END
#!/bin/sh
exec node dist/src/cli/main.js record -o "$folder/sqlite.ismrec" -- node $programs/sqlite.js "$scratch/readings.db"
END
chmod +x "$scratch/mirror"
strace -f -y -xx -s 65536 -e trace=pwrite64,fsync,fdatasync -o "|$scratch/mirror" \
  sqlite3 "$scratch/readings.db" < "$scratch/fill.sql"

cat > "$scratch/session" <<'END'
stty cols 80 rows 24
show() { printf '$ '; for (( i = 0; i < ${#1}; i++ )); do printf '%s' "${1:i:1}"; sleep 0.03; done; echo; eval "$1"; sleep 0.4; }
show 'ls --color=always -C native/* | head -30'
show 'node dist/src/cli/main.js plan 100 9000'
show 'head -24 native/plan/planner.h'
show 'node dist/src/cli/main.js demo --limit 8M'
show 'for n in 1 2 3 4 5 6 7 8; do printf "\r%d of 8" $n; sleep 0.1; done; echo'
END
script --quiet --flush --command "env -i TERM=xterm PATH='$PATH' bash --norc $scratch/session" /dev/null |
  ismio record -o "$folder/terminal.ismrec" -- node $programs/terminal.js

for recording in tar sqlite terminal; do ismio replay "$folder/$recording.ismrec"; done
