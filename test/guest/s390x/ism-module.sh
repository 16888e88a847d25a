#!/bin/bash
# ism-module.sh PACKAGES QEMU OUTPUT: builds Linux's ism-vfio-pci, unmodified, out of tree against Debian's s390x kernel,
# which comes without it.
#
# PACKAGES is a folder with linux-headers-*-s390x, linux-headers-*-common, linux-kbuild-* and linux-source-* unpacked.
# QEMU is a folder with a C library that is as new as linux-kbuild's programs want it.
set -euo pipefail
packages=$1 qemu=$2 output=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tar -xJf "$packages"/usr/src/linux-source-*.tar.xz -C "$work" --occurrence=1 --strip-components=4 --wildcards \
  '*/drivers/vfio/pci/ism/main.c' '*/drivers/vfio/pci/vfio_pci_priv.h'
printf '%s\n' 'obj-m := ism-vfio-pci.o' 'ism-vfio-pci-y := main.o' >"$work/ism/Makefile"

# The packages expect to lie under /usr/src.
common=$(echo "$packages"/usr/src/linux-headers-*-common)
headers=$(echo "$packages"/usr/src/linux-headers-*-s390x)
printf '%s\n' "KBUILD_OUTPUT=$headers" "include $common/Makefile" >"$headers/Makefile"
rm -f "$headers/vmlinux" # with it there, BTF would be wanted, and the program that makes it

# modpost is a program of the newest Debian.
modpost=$(echo "$packages"/usr/lib/linux-kbuild-*/scripts/mod/modpost.real-msb-64)
mv "$modpost" "$modpost.elf"
cat >"$modpost" <<SH
#!/bin/sh
exec $qemu/usr/lib64/ld-linux-x86-64.so.2 --library-path $qemu/usr/lib/x86_64-linux-gnu $modpost.elf "\$@"
SH
chmod +x "$modpost"

# The kernel was compiled by a newer gcc than the machine's, with options that the older does not know. They concern the
# stack protector and where functions begin; a module may do without.
cat >"$work/gcc" <<'SH'
#!/bin/bash
flags=()
for flag; do
  case $flag in
    -mstack-protector-guard* | -fstack-protector* | -fmin-function-alignment=*) ;;
    *) flags+=("$flag") ;;
  esac
done
exec s390x-linux-gnu-gcc "${flags[@]}" -fno-stack-protector -Wno-attributes
SH
chmod +x "$work/gcc"

make -C "$headers" M="$work/ism" CC="$work/gcc" CROSS_COMPILE=s390x-linux-gnu- modules
s390x-linux-gnu-strip --strip-debug -o "$output/ism-vfio-pci.ko" "$work/ism/ism-vfio-pci.ko"
