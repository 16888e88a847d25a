#!/bin/busybox sh
# The first program of the s390x guest: everything it needs is in the archive.
export PATH=/bin HOME=/tmp TMPDIR=/tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t debugfs debug /sys/kernel/debug
while read -r module; do insmod "/modules/$module"; done </modules/order

cd /package && node --test-reporter=tap dist/test/guest/s390x/inside/main.js
echo "guest: ended with status $?"
exec poweroff -f
