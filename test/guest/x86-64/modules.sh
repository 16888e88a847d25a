#!/bin/sh
# modules.sh PACKAGES OUTPUT: Debian's vfio modules and iommufd, from Debian's source, with two options on that Debian
# leaves off: IOMMUFD and VFIO_DEVICE_CDEV. Without them there is no /dev/iommu and no /dev/vfio/devices.
# PACKAGES is a folder with linux-headers-*, linux-kbuild-* and linux-source-* unpacked.
set -eu
packages=$1 output=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tar -xJf "$packages"/usr/src/linux-source-*.tar.xz -C "$work" --strip-components=1 \
  --wildcards '*/drivers/vfio' '*/drivers/iommu/iommufd' '*/drivers/iommu/iommu-priv.h' '*/lib/interval_tree.c'

echo 'obj-m += drivers/iommu/iommufd/ drivers/vfio/' >"$work/Kbuild"

# The kernel's own copy of this file was built without the iterator that iommufd walks with. In the module its names stay
# the module's own.
cat >"$work/drivers/iommu/iommufd/span.c" <<'C'
#include <linux/export.h>
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(name)
#include "../../../lib/interval_tree.c"
C
echo 'iommufd-y += span.o' >>"$work/drivers/iommu/iommufd/Makefile"

# The packages expect to lie under /usr/src.
for common in "$packages"/usr/src/linux-headers-*-common; do break; done
for flavour in "$packages"/usr/src/linux-headers-*-amd64; do break; done
echo "include $common/Makefile" >"$flavour/Makefile"

make -C "$flavour" M="$work" -j"$(nproc)" CC=gcc CROSS_COMPILE= CONFIG_IOMMUFD=m CONFIG_VFIO_DEVICE_CDEV=y \
  CONFIG_VFIO_MDEV= CONFIG_VIRTIO_VFIO_PCI= CONFIG_MLX5_VFIO_PCI= CONFIG_DEBUG_INFO_BTF_MODULES= \
  KCFLAGS='-DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_VFIO_DEVICE_CDEV=1 -DCONFIG_INTERVAL_TREE_SPAN_ITER=1' modules

find "$work" -name '*.ko' -exec cp -t "$output" {} +
strip --strip-debug "$output"/*.ko
