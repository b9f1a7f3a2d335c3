# Unites a read-only base and a delta in a guest's ramdisk. Sourced by Cairn's own /init, and in a Debian guest by the boot script that
# `cairn image prepare` installs; a POSIX shell with mount and mkdir is enough, as klibc has them.

# union_wanted - what to unite by: cairn.union= on the kernel's command line, else what the ramdisk was made for, else auto.
union_wanted() {
    wanted=
    read -r line </proc/cmdline
    set -f
    for word in ${line%% -- *}; do
        case $word in cairn.union=*) wanted=${word#cairn.union=} ;; esac
    done
    set +f
    [ -n "$wanted" ] || read -r wanted 2>/dev/null </etc/cairn/union || wanted=auto
    echo "$wanted"
}

# listed NAME - whether the kernel has this file system now.
listed() {
    while read -r first second; do [ "${second:-$first}" = "$1" ] && return 0; done </proc/filesystems
    return 1
}

kernel_has() { listed "$1" || { modprobe -q "$1" 2>/dev/null; listed "$1"; }; }

# The options follow aufs(5), version 4 to 6 (man.html beside https://aufs.sourceforge.net):
#   br=…=rw:…=rr  the delta before the base: the first writable branch takes every write. rr is "natively readonly", which the base is, whose
#                 disk nobody writes to; no whiteouts are looked for in it (that would be +wh), since it was never the top of a union.
#   udba=none     nobody reaches the branches but through the union: their mounts are not in the guest's new root. Then nothing needs to be
#                 tested at each access ("aufs runs fastest").
#   xino=         the table of inode numbers, by default on the first writable branch: every lookup would write to the delta, and every
#                 checkpoint carry that. It needs to outlive nothing but the mount, so it lies in memory. Never noxino: inode numbers would
#                 change under programs.
#   dio           without it open(2) with O_DIRECT fails.
#   dirperm1      the topmost directory's permissions count, as with overlayfs; by default those of the base forbid for ever.
# plink stays on, which is the default: without it hard links of the base fall apart when one of them is written to.
# dio and dirperm1 are younger than the rest, and an option that AUFS does not know fails the mount: then without them.
unite_aufs() {
    mkdir -p "$2/upper" || return 1
    mkdir -p /cairn-xino && mount -t tmpfs -o mode=0700 xino /cairn-xino || return 1
    options=br=$2/upper=rw:$1=rr,udba=none,xino=/cairn-xino/aufs.xino
    for more in ,dio,dirperm1 ,dio ''; do
        mount -t aufs -o "$options$more" aufs "$3" 2>/dev/null && return 0
    done
    return 1
}

# Source: Linux Documentation/filesystems/overlayfs.rst: workdir is on upperdir's file system, and empty.
unite_overlayfs() {
    mkdir -p "$2/upper" "$2/work" || return 1
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$3"
}

# unite WANTED BASE DELTA TARGET - mounts the union on TARGET. Fails if the kernel offers none that is wanted.
unite() {
    if [ "$1" != overlayfs ] && kernel_has aufs; then unite_aufs "$2" "$3" "$4" && return 0; fi
    [ "$1" != aufs ] && kernel_has overlay && unite_overlayfs "$2" "$3" "$4"
}

# report_union TARGET [KIND] - tells what is mounted there, as the kernel lists it: the last line for it, which is on top.
report_union() {
    kind=
    # shellcheck disable=SC2034 # device and rest are read to be passed over
    while read -r device place type options rest; do
        [ "$place" = "$1" ] && kind=$type && mounted=$options
    done </proc/mounts
    [ "$kind" = overlay ] && kind=overlayfs
    [ -n "$kind" ] && echo "CAIRN UNION ${2:-$kind} $mounted"
}
