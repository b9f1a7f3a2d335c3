#!/bin/bash
# Process 1 of a lab's dom0: no systemd, only what libvirt with Xen needs, in the order in which it is needed.
export PATH=/usr/lib/xen-4.17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
cd /

step() { echo "LAB $(cut -d' ' -f1 /proc/uptime) $*"; }

# until_so SECONDS WHAT COMMAND...
until_so() {
    local waited=0 patience=$1 what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        sleep 0.1
        waited=$((waited + 1))
        if ((waited > patience * 10)); then
            echo "LAB FAIL $what"
            return 1
        fi
    done
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -sfn "${link#*:}" "/dev/${link%%:*}"; done
mkdir -p /run/xen /run/xenstored /run/libvirt /run/lock /run/sshd /var/lib/xen /var/lib/xenstored \
    /var/log/xen/console /var/log/libvirt/libxl
hostname "$(cat /etc/hostname)"
step kernel

ip link set lo up
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback xen-netback loop virtio_net 9pnet_virtio 9p; do
    modprobe "$module" || echo "LAB no module $module"
done
mount -t xenfs xenfs /proc/xen
until_so 10 "no network card" ip link show eth0
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
# The machine's loopback addresses 127.77.x.x are the same here: only 127.0.0.1 is kept as our own loopback, and QEMU's network
# connects to what we address. So a server there, and what it says of its own address, mean the same inside and outside.
ip addr add 127.0.0.1/32 dev lo
ip addr del 127.0.0.1/8 dev lo
for interface in all eth0; do
    echo 1 >/proc/sys/net/ipv4/conf/$interface/route_localnet
    echo 0 >/proc/sys/net/ipv4/conf/$interface/rp_filter
done
ip route add 127.77.0.0/16 via 10.0.2.2
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share /share || echo "LAB no share"
/usr/sbin/sshd
step network

xenstored --pid-file /run/xenstored.pid
until_so 20 "xenstored does not answer" xenstore-read /
xen-init-dom0
xenconsoled --pid-file=/run/xenconsoled.pid --log=all
step xen

# `virsh` and the agent find the daemon by its socket.
libvirtd --daemon --timeout 0
until_so 60 "libvirtd does not answer" virsh -c xen:///system version
virsh -c xen:///system version
step libvirt
echo "LAB UP"

# Process 1 never ends, and takes in every orphan: bash reaps whatever child ended.
while :; do
    sleep 3600 &
    wait $!
done
