#!/bin/bash
# build.sh PACKAGES OUTPUT: Linux's ism, smc and smc_diag, from Debian's source against Debian's s390x kernel, which comes
# without ism. What is changed in them is said in OUTPUT/changes, a line each.
#
# PACKAGES is a folder with linux-headers-*-s390x, linux-headers-*-common, linux-kbuild-* and linux-source-* unpacked.
set -euo pipefail
packages=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tar -xJf "$packages"/usr/src/linux-source-*.tar.xz -C "$work" --strip-components=1 --wildcards \
  '*/drivers/s390/net/ism.h' '*/drivers/s390/net/ism_drv.c' '*/net/smc'
echo 'obj-m += drivers/s390/net/ net/smc/' >"$work/Kbuild"
printf '%s\n' 'obj-m := ism.o' 'ism-y := ism_drv.o' >"$work/drivers/s390/net/Makefile"

# replaced FILE OLD NEW TIMES: as often as is known, or the source is another.
replaced() {
  local found
  found=$(grep -c -F "$2" "$1" || true)
  [ "$found" -eq "$4" ] || { echo "$1 has '$2' on $found lines, not on $4" >&2; exit 1; }
  sed -i "s|$2|$3|" "$1"
}
cp "$here/stores.h" "$work/drivers/s390/net/"
replaced "$work/drivers/s390/net/ism.h" '__zpci_store_block(' 'ismio_store_words(' 2
replaced "$work/drivers/s390/net/ism.h" '#include <asm/pci_insn.h>' '#include "stores.h"' 1

# The packages expect to lie under /usr/src.
common=$(echo "$packages"/usr/src/linux-headers-*-common)
headers=$(echo "$packages"/usr/src/linux-headers-*-s390x)
echo "include $common/Makefile" >"$headers/Makefile"
rm -f "$headers/vmlinux" # with it there, BTF would be wanted, and the program that makes it

make -C "$headers" M="$work" -j"$(nproc)" CC=s390x-linux-gnu-gcc CROSS_COMPILE=s390x-linux-gnu- \
  KCFLAGS=-DCONFIG_ISM_MODULE=1 modules
find "$work" -name '*.ko' -exec cp -t "$output" {} +
s390x-linux-gnu-strip --strip-debug "$output"/*.ko

cat >"$output/changes" <<'END'
ism.ko: built from Debian's source; both calls of __zpci_store_block (PCISTB) are ones of stores of 1, 2, 4 and 8 bytes (PCISTG), only the last of a block with its signal bit
smc.ko: built from Debian's source, unmodified, with CONFIG_ISM_MODULE defined: Debian's kernel leaves ISM out
smc_diag.ko: built from Debian's source, unmodified
END
