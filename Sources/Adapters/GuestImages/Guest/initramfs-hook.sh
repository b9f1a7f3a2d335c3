#!/bin/sh
# Installed by `cairn image prepare`, removed by `cairn image prepare --remove`: puts into the ramdisk what unites base and delta there.
# Source: initramfs-tools(7), "Hook scripts".
case $1 in prereqs) exit 0 ;; esac

. /usr/share/initramfs-tools/hook-functions

# Those that this kernel has; disks of QEMU and of Xen.
for module in aufs overlay ext4 virtio_pci virtio_blk xen_blkfront; do manual_add_modules "$module"; done
mkdir -p "$DESTDIR/etc/cairn"
cp -p /etc/initramfs-tools/cairn-union.sh "$DESTDIR/etc/cairn/union.sh"
