#!/bin/bash
# qemu-img of Debian 12 (qemu-utils 1:7.2+dfsg-7+deb12u18+b3) on an NBD server (nbdkit 1.32.5-1) whose FLUSH fails: `convert` sends
# one FLUSH at its end and takes no notice of the answer. With EIO for it, it says nothing and exits 0, with -t none as with the
# default; -t writethrough alone, where each write is flushed, fails. So the exit status of a convert is no word that the bytes are
# on a disk: a server that cannot keep what it took says so at a write, and who needs to know flushes once more by something that
# tells, such as `qemu-io -c flush`.
#
# Seen: default and -t none: FLUSH answered EIO, exit 0; -t writethrough: exit 1; qemu-io: exit 1.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(dpkg-query -W -f '${Version} ${Architecture}' qemu-utils 2> /dev/null)" = '1:7.2+dfsg-7+deb12u18+b3 amd64' ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
apt-get -qq download nbdkit=1.32.5-1 2> /dev/null && dpkg -x nbdkit_*.deb . || exit 2
plugin=usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-eval-plugin.so
head -c 1048576 /dev/urandom > source.raw

# Serves a disk that takes every write and flushes none of them, while the command runs: its exit code, and how many FLUSHes came.
unflushed() {
  : > flushes
  timeout 60 usr/bin/nbdkit -U - "$plugin" get_size='echo 1048576' pread='head -c $3 /dev/zero' pwrite='cat > /dev/null' \
    can_write='exit 0' can_flush='exit 0' can_fua='echo none' \
    flush="echo one >> $folder/flushes; echo EIO >&2; exit 1" --run "$1" > said 2>&1
  echo "exit $?, $(wc -l < flushes) FLUSH answered EIO"
}

changed=0
look() {
  local told
  told=$(unflushed "$3")
  echo "$1: $told"
  [[ $told == "exit $2, "* && $told != *', 0 FLUSH'* ]] || changed=1
}
look 'convert' 0 'qemu-img convert -n -f raw -O raw source.raw "$uri"'
look 'convert -t none' 0 'qemu-img convert -n -t none -f raw -O raw source.raw "$uri"'
look 'convert -t writethrough' 1 'qemu-img convert -n -t writethrough -f raw -O raw source.raw "$uri"'
look 'qemu-io -c flush' 1 'qemu-io -t none -f raw -c flush "$uri"'
exit $changed
