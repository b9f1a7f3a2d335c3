#!/bin/sh
# First program of a Cairn guest, in both of its lives: /init in the ramdisk, and /sbin/init in the united root.
#
#   ramdisk:     load modules -> mount base (first disk, squashfs) and delta (second disk, ext4) -> unite -> switch_root;
#                made for a backing file: mount the one disk (ext4) that lies on the base -> switch_root
#   united root: run what follows " -- " on the kernel's command line -> CAIRN EXIT status -> sync -> power off
#
# Everything that the outside may rely on is a line on the console that begins with CAIRN.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb LC_ALL=C

power_off() {
    sync
    stty onlcr </dev/console 2>/dev/null # changing a terminal waits until all that was written to it has left
    poweroff -f
    while :; do sleep 60; done # process 1 must never end
}

fail() {
    echo "CAIRN FAIL $*"
    power_off
}

# Waits up to 10 s for a block device that a driver is still finding.
wait_for() {
    tries=0
    while [ ! -b "$1" ]; do
        [ $tries -lt 200 ] || return 1
        tries=$((tries + 1))
        sleep 0.05
    done
}

two_disks() {
    wait_for ${disk}a || fail "no base disk ${disk}a"
    wait_for ${disk}b || fail "no delta disk ${disk}b"
    mount -t squashfs -o ro ${disk}a /base || fail "cannot mount the base ${disk}a as squashfs"
    # No inode tables zeroed in the background: they would fill the delta with blocks that mean nothing.
    mount -t ext4 -o noatime,noinit_itable,discard ${disk}b /delta || fail "cannot mount the delta ${disk}b as ext4"
    mkdir -p /delta/upper || fail "cannot write to the delta ${disk}b"
    unite "$wanted" /base /delta /united || fail "this kernel cannot unite base and delta (wanted: $wanted)"
    report_union /united
}

one_disk() {
    wait_for ${disk}a || fail "no disk ${disk}a"
    mount -t ext4 -o noatime,noinit_itable,discard ${disk}a /united || fail "cannot mount the disk ${disk}a as ext4"
    report_union /united backing-file
}

ramdisk() {
    mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs devtmpfs /dev || fail "cannot mount /proc, /sys and /dev"
    stty -onlcr </dev/console 2>/dev/null # lines end in a bare newline, so that a pattern's $ means what it says
    while read -r module; do
        # Drivers of a hypervisor that is not there refuse to load: no harm, the disk that is missing tells.
        insmod "/modules/$module" 2>/dev/null
    done </modules/order

    disk=/dev/vd
    [ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ] && disk=/dev/xvd
    . /etc/cairn/union.sh
    wanted=$(union_wanted)
    if [ "$wanted" = backing-file ]; then one_disk; else two_disks; fi

    for mounted in proc sys dev; do mount --move /$mounted /united/$mounted || fail "cannot move /$mounted into the united root"; done
    exec switch_root /united /sbin/init united
}

united_root() {
    hostname cairn
    mkdir -p /dev/shm /dev/pts
    mount -t tmpfs -o nosuid,nodev shm /dev/shm || fail "cannot mount /dev/shm"
    ifconfig lo 127.0.0.1 2>/dev/null
    read -r line </proc/cmdline
    case $line in
        *" -- "*) run=${line#* -- } ;;
        *) fail "nothing to run: the kernel's command line has no ' -- COMMAND'" ;;
    esac
    cd /root || fail "the base has no /root"
    # A shell reads the words as they stand, so quotes, pipes and && work.
    sh -c "$run" </dev/null
    echo "CAIRN EXIT $?"
    power_off
}

# The kernel hands words that it does not know to init: only our own call says "united" in the united root.
if [ "$1" = united ] && [ ! -e /modules/order ]; then united_root; else ramdisk; fi
