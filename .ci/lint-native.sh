#!/usr/bin/env bash
# lint-native.sh [--fix]: the C++ as clang-format writes it, and nothing that clang-tidy minds. With --fix it is formatted.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(find native bench/native test/native test/support test/guest -name out -prune -o \( -name '*.cc' -o -name '*.c' -o -name '*.h' \) -print | sort)
if [ "${1:-}" = --fix ]; then
  clang-format -i "${sources[@]}"
  exit
fi
clang-format --dry-run --Werror "${sources[@]}"

# libuv's headers come with those of Node.js, wherever node-gyp had them from when it built the addon.
node_headers=$(sed -n 's/^ *"nodedir": "\(.*\)",\?$/\1/p' build/config.gypi)/include/node
[ -f "$node_headers/uv.h" ] || { echo "no uv.h in $node_headers: build the addon first (npm ci)" >&2; exit 1; }

# Headers are looked at where they are included. The s390x files are empty here, but for what every CPU shares.
flags=(-std=c++20 -pthread -Inative -Itest/native -DNAPI_VERSION=8 -DNAPI_DISABLE_CPP_EXCEPTIONS
  -idirafter "$node_headers" -isystem node_modules/node-addon-api -isystem node_modules/node-api-headers/include
  -isystem /usr/include/doctest)
# It takes a minute or more: whoever looks on sees which file it is at.
told=/dev/null
[ ! -t 2 ] || told=/dev/stderr
printf '%s\n' "${sources[@]}" | grep '\.cc$' |
  xargs -P "$(nproc)" -I{} sh -c 'source=$1; told=$2; shift 2
    echo "clang-tidy $source" >>"$told"
    clang-tidy --quiet "$source" -- "$@" 2>/dev/null' - {} "$told" "${flags[@]}"
