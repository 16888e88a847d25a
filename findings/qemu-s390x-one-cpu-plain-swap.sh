#!/bin/bash
# QEMU's emulated s390x machine (qemu-system-s390x of Debian 12, package qemu-system-misc 1:7.2+dfsg-7+deb12u18+b3): as long as the
# machine has no place for a second processor, the guest's atomic instructions are translated into a plain load, what is to be done,
# and a plain store; compare and swap stores even where nothing is swapped. But it is not only processors that write there: QEMU's
# devices set the indicator bits of their interrupts in the same words from other threads, by atomic instructions of the host, and
# servers of vfio-user set theirs. A bit that is set between the load and the store is overwritten: the device has interrupted, and
# the guest has seen nothing. What a user meets is an interrupt that never comes: a disk or a network card stands still, and nothing
# tells why. It is rare: with QEMU 11.1.3, which translates in the same way, it came after 20,000 interrupts and after 190,000, and
# not in 260,000 on a busy host.
#
# What helps is a place for a second processor, -smp 1,maxcpus=2, which need never be filled. It does not help where one thread runs
# all processors (-accel tcg,thread=single). Nothing is lost here: the program below runs each instruction once, on memory that
# nobody else uses, ends its machine, and is looked at as QEMU translated it (-d op).
#
# Seen: CSG and CS are qemu_ld, movcond and qemu_st, and LANG qemu_ld and qemu_st, with -smp 1 and with -smp 1,maxcpus=2 in one
# thread; with -smp 1,maxcpus=2 alone each is a call of atomic_cmpxchg or atomic_fetch_and.
# Exit: 0 seen, 1 it has changed, 2 another version or machine.
set -u
[ "$(dpkg --print-architecture 2> /dev/null)" = amd64 ] || exit 2
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
version=1:7.2+dfsg-7+deb12u18+b3
apt-get -qq download "qemu-system-misc=$version" 2> /dev/null && dpkg -x qemu-system-misc_*.deb . || exit 2
qemu=usr/bin/qemu-system-s390x
# Its libraries are the machine's own: those of another QEMU of Debian 12 do.
[[ $("$qemu" --version) == *"(Debian $version)"* ]] || exit 2

# The machine has it in the place of its firmware, at 0x9000. A disabled wait at address 0xfff is how a guest ends its machine.
{
  printf '\xeb\x24\x08\x00\x00\x30' # 9000 csg   %r2,%r4,0x800
  printf '\xba\x24\x08\x08'         # 9006 cs    %r2,%r4,0x808
  printf '\xeb\x24\x08\x10\x00\xe4' # 900a lang  %r2,%r4,0x810
  printf '\xc0\x10\x00\x00\x00\x08' # 9010 larl  %r1,0x9020
  printf '\xb2\xb2\x10\x00'         # 9016 lpswe 0(%r1)
  printf '\0\0\0\0\0\0'
  printf '\x00\x02\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0f\xff' # 9020 the PSW of the disabled wait
} > program

# translated WORDS..: how the machine of these words touches memory for each of the three instructions
translated() {
  timeout 60 "$qemu" -machine s390-ccw-virtio -cpu max -m 16 -nodefaults -display none -no-reboot -bios program \
    -d op -D ops "$@" || { echo "QEMU ended with $?"; return; }
  awk '
    $1 == "----" { at = substr($2, 13) }
    /^ *(qemu_ld|movcond|qemu_st)_/ { sub(/_i.*/, "", $1); did[at] = did[at] " " $1 }
    /^ *call atomic_/ { sub(/,.*/, "", $2); did[at] = did[at] " " $2 }
    END { print "csg" did["9000"] ", cs" did["9006"] ", lang" did["900a"] }' ops
}

plain='csg qemu_ld movcond qemu_st, cs qemu_ld movcond qemu_st, lang qemu_ld qemu_st'
atomic='csg atomic_cmpxchgq_be, cs atomic_cmpxchgl_be, lang atomic_fetch_andq_be'
changed=0
look() {
  local wanted=$1 told
  shift
  told=$(translated "$@")
  echo "$*: $told"
  [ "$told" = "$wanted" ] || changed=1
}
look "$plain" -accel tcg -smp 1
look "$atomic" -accel tcg -smp 1,maxcpus=2
look "$plain" -accel tcg,thread=single -smp 1,maxcpus=2
exit $changed
