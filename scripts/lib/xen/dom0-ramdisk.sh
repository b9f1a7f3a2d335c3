#!/bin/busybox sh
# First program of a lab's dom0: loads the drivers of its disk, puts what this host is told (/config) into it, and goes there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/lib/$module"; done </lib/order
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ]; then
        echo "LAB FAIL no disk"
        $b poweroff -f
    fi
    $b sleep 0.05
done
if ! $b mount -t ext4 -o noatime /dev/vda /root; then
    echo "LAB FAIL the disk cannot be mounted"
    $b poweroff -f
fi
$b cp -a /config/. /root/
$b umount /proc
$b mount --move /dev /root/dev
exec $b switch_root /root /lab/init
