#!/bin/sh
# Installed by `cairn image prepare`, removed by `cairn image prepare --remove`: unites the root file system, which is then only read, with
# the delta disk, before the guest's own init begins. It does so only if the kernel's command line has cairn.union=, which Cairn puts there:
# started in any other way the guest is as it was. The delta is the second disk, or what cairn.delta= names.
# Source: initramfs-tools(7), "Boot scripts"; local-bottom runs after the root file system was mounted, before /dev is moved.
case $1 in prereqs) exit 0 ;; esac

read -r line </proc/cmdline
case " ${line%% -- *} " in *" cairn.union="*) ;; *) exit 0 ;; esac

. /etc/cairn/union.sh

tell() { echo "$*" >/dev/console; }

# Without its delta the guest must not run: what it wrote would be lost, or worse, be in the base.
fail() {
    tell "CAIRN FAIL $*"
    sync
    poweroff -f 2>/dev/null || poweroff
    while :; do sleep 60; done
}

delta=
set -f
for word in ${line%% -- *}; do
    case $word in cairn.delta=*) delta=${word#cairn.delta=} ;; esac
done
set +f
tries=0
while [ ! -b "${delta:-/none}" ]; do
    for disk in /dev/vdb /dev/xvdb; do
        [ -z "$delta" ] && [ -b $disk ] && delta=$disk
    done
    [ -b "${delta:-/none}" ] && break
    [ $tries -lt 10 ] || fail "no delta disk ${delta:-/dev/vdb}"
    tries=$((tries + 1))
    sleep 1
done

wanted=$(union_wanted)
# Not below /run, which the guest gets to see: nobody shall reach the branches but through the union. At the top: klibc's run-init passes over
# mounts there, and is stopped by deeper ones.
mkdir -p /cairn-base /cairn-delta
mount -t ext4 -o noatime,noinit_itable,discard "$delta" /cairn-delta || fail "cannot mount the delta $delta as ext4"
mount -o move "$rootmnt" /cairn-base || fail "cannot move the root file system away"
mount -o remount,ro /cairn-base 2>/dev/null
unite "$wanted" /cairn-base /cairn-delta "$rootmnt" || fail "this kernel cannot unite base and delta (wanted: $wanted)"

# The root file system is mounted already, and its options are not those of a union.
if [ -f "$rootmnt/etc/fstab" ]; then
    while IFS= read -r entry; do
        set -f
        # shellcheck disable=SC2086 # to be split
        set -- $entry
        set +f
        case $1 in '' | '#'*) ;; *) [ "$2" = / ] && entry="# united by Cairn: $entry" ;; esac
        echo "$entry"
    done <"$rootmnt/etc/fstab" >"$rootmnt/etc/fstab.united"
    mv "$rootmnt/etc/fstab.united" "$rootmnt/etc/fstab"
fi
tell "$(report_union "$rootmnt")"
