#!/bin/busybox sh
# The first program of an x86-64 guest. Mounts the host's root, read-only, and the work folder at its own path in it, loads
# the modules of the folders that it was given, and goes on with the host's programs. The modules that 9p needs come from the archive.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in netfs 9pnet 9pnet_virtio 9p; do insmod "/modules/$module.ko"; done

work=$(sed -n 's/.*ismio\.work=\([^ ]*\).*/\1/p' /proc/cmdline)
modules=$(sed -n 's/.*ismio\.modules=\([^ ]*\).*/\1/p' /proc/cmdline)
plan9=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "$plan9,cache=loose,ro" host /mnt
mount -t 9p -o "$plan9" work "/mnt$work"
for folder in $(echo "$modules" | tr , ' '); do
  while read -r module; do insmod "/mnt$folder/$module.ko"; done <"/mnt$folder/order"
done

mount -o move /proc /mnt/proc
mount -o move /sys /mnt/sys
mount -o move /dev /mnt/dev
mkdir /mnt/dev/shm
mount -t tmpfs tmpfs /mnt/dev/shm
mount -t tmpfs tmpfs /mnt/run

chroot /mnt /bin/sh "$work/command.sh"
echo "guest: ended with status $?"
exec poweroff -f
