#!/usr/bin/env bash
# prebuild.sh [linux-x64|linux-arm64|linux-s390x] [glibc|musl]: builds prebuilds/PLATFORM/ismio.LIBC.node, and floors.LIBC.node,
# which is for `ismio bench` alone.
#
# Without arguments for the machine it runs on. Natively where the compiler fits, else with a cross-compiler named as
# Debian names it (s390x-linux-gnu-g++, aarch64-linux-musl-g++, ..). Any Node's headers serve, because Node-API is the
# same for all; libstdc++ is linked in, so that only the C library and its version are asked of the user's machine.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
usage() { echo "usage: prebuild.sh [linux-x64|linux-arm64|linux-s390x] [glibc|musl]" >&2; exit 2; }
fail() { echo "prebuild.sh: $*" >&2; exit 1; }

machine=$(${CXX:-g++} -dumpmachine) || fail "no C++ compiler; install g++"
case $machine in
  x86_64-*) here=linux-x64 ;;
  aarch64-*) here=linux-arm64 ;;
  s390x-*) here=linux-s390x ;;
  *) here=unknown ;;
esac
case $machine in *musl*) hereLibc=musl ;; *) hereLibc=glibc ;; esac

platform=${1:-$here} libc=${2:-$hereLibc}
case $platform in
  linux-x64) cpu=x86_64 ;;
  linux-arm64) cpu=aarch64 ;;
  linux-s390x) cpu=s390x ;;
  *) usage ;;
esac
case $libc in glibc) triplet=$cpu-linux-gnu ;; musl) triplet=$cpu-linux-musl ;; *) usage ;; esac

tools=()
strip=strip
if [ "$platform/$libc" != "$here/$hereLibc" ]; then
  command -v "$triplet-g++" >/dev/null || fail "no compiler for $platform $libc: $triplet-g++ is not on the PATH"
  tools=(CC="$triplet-gcc" CXX="$triplet-g++" AR="$triplet-ar" LINK="$triplet-g++"
         CC_host=gcc CXX_host=g++ AR_host=ar LINK_host=g++)
  strip=$triplet-strip
fi

# Headers that came with the running Node save a download.
headers=$(dirname "$(dirname "$(node -p process.execPath)")")
if [ -z "${npm_config_nodedir:-}" ] && [ -f "$headers/include/node/common.gypi" ]; then
  export npm_config_nodedir=$headers
fi

# node-gyp builds in the folder it is called in; a folder of its own leaves build/ alone.
work=$root/.cross/$platform-$libc
mkdir -p "$work"
mkdir -p "$work/bench"
ln -sfn ../../native "$work/native"
ln -sfn ../../../bench/native "$work/bench/native"
ln -sfn ../../package.json "$work/package.json"
ln -sfn ../../binding.gyp "$work/binding.gyp"
cd "$work"
env "${tools[@]}" LDFLAGS="${LDFLAGS:-} -static-libstdc++ -static-libgcc" \
  "$root/node_modules/.bin/node-gyp" rebuild --arch="${platform#linux-}" --jobs max >build.log 2>&1 ||
  { cat build.log >&2; fail "$platform $libc did not build"; }

mkdir -p "$root/prebuilds/$platform"
for addon in ismio floors; do
  made=prebuilds/$platform/$addon.$libc.node
  built=build/Release/$addon.node
  [ "$addon" = ismio ] || built=build/Release/ismio_$addon.node
  "$strip" --strip-unneeded -o "$root/$made" "$built"
  echo "$made: $(stat -c %s "$root/$made") bytes"
done
