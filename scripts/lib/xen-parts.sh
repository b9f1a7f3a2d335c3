# shellcheck shell=bash
# What the Xen lab is made of: packages of this machine, and the root file system, hypervisor, kernel and ramdisk of its dom0,
# made once and kept in a cache. Needs terminal.sh.

# On this machine.
# shellcheck disable=SC2034  # used by scripts/setup
xen_packages=(
  mmdebstrap fakeroot uidmap qemu-system-x86 qemu-utils openssh-client e2fsprogs kmod cpio gzip busybox-static gcc libc6-dev curl jq
)

# In dom0: Xen's tools and its QEMU, libvirt's driver for them, and what the agent links against and runs.
xen_dom0_packages=(
  udev kmod iproute2 procps busybox-static e2fsprogs qemu-utils qemu-system-xen xen-utils-4.17 xenstore-utils libxenmisc4.17
  libvirt-daemon libvirt-daemon-driver-xen libvirt-clients curl ca-certificates openssh-server
  libcurl4 libsqlite3-0 zlib1g libzstd1 libstdc++6 zstd
)
xen_hypervisor_package=xen-hypervisor-4.17-amd64
# Not the cloud kernel: that cannot be dom0.
xen_kernel_package=linux-image-amd64
xen_dom0_disk=8G

# Loaded by dom0's ramdisk, and kept for dom0.
xen_ramdisk_modules=(virtio_pci virtio_blk ext4 crc32c_generic)
xen_dom0_modules=(
  "${xen_ramdisk_modules[@]}" virtio_net xen-evtchn xen-gntdev xen-gntalloc xen-blkback xen-netback xen-privcmd xenfs loop
  9p 9pnet_virtio overlay squashfs bridge tun nbd
)

xen_helpers=$(cd "$(dirname "${BASH_SOURCE[0]}")/xen" && pwd)

# xen_cache - where the parts are; another recipe has another place.
xen_cache() {
  local key
  key=$(cat "${BASH_SOURCE[0]}" "$xen_helpers/dom0-ramdisk.sh" "$xen_helpers/console-watch.c" | sha256sum)
  printf '%s' "${CAIRN_CACHE:-$HOME/.cache/cairn}/xen/${key:0:16}"
}

# What is in place was renamed there when it was whole.
xen_cache_is_whole() { [[ -f $(xen_cache)/made-of.txt ]]; }

xen_missing_tools() {
  local tool
  for tool in mmdebstrap qemu-system-x86_64 qemu-img ssh ssh-keygen mke2fs depmod modprobe cpio busybox cc jq; do
    command -v "$tool" >/dev/null || [[ -x /usr/sbin/$tool || -x /sbin/$tool ]] || printf '%s\n' "$tool"
  done
}

# xen_make_parts - have them in the cache. Two at once: the second waits and finds them.
xen_make_parts() {
  ! xen_cache_is_whole || return 0
  local cache
  cache=$(xen_cache)
  mkdir -p "$(dirname "$cache")"
  (
    flock 8
    ! xen_cache_is_whole || exit 0
    rm -rf "$cache" "$(dirname "$cache")"/making.* # left by runs that were killed; the lock is ours
    making=$(mktemp -d "$(dirname "$cache")/making.XXXXXX")
    trap 'rm -rf "$making"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    chmod 755 "$making"
    PATH=$PATH:/usr/sbin:/sbin
    xen_make_into "$making" 8>&-
    mv "$making" "$cache"
  ) 8>"$(dirname "$cache")/lock" || exit $?
}

# xen_make_into FOLDER
xen_make_into() {
  local folder=$1 version
  say "Xen lab: fetching Xen and dom0's kernel"
  mkdir "$folder/archives" "$folder/boot"
  xen_fetch_kernel "$folder"
  version=$(basename "$folder"/boot/lib/modules/*)
  gzip -dc "$folder"/boot/boot/xen-4.17-amd64.gz >"$folder/xen"
  cp "$folder/boot/boot/vmlinuz-$version" "$folder/vmlinuz"
  depmod -b "$folder/boot" "$version"
  xen_make_ramdisk "$folder" "$version"
  cc -O2 -static -Wall -Werror -o "$folder/console-watch" "$xen_helpers/console-watch.c"
  say "Xen lab: making dom0's root file system (one or two minutes, once)"
  xen_make_root "$folder"
  # A user is root of the files by fakeroot.
  local -a as_owner=()
  ((EUID == 0)) || as_owner=(fakeroot --)
  "${as_owner[@]}" bash -euo pipefail -c "source '$here/lib/terminal.sh'; source '$xen_helpers/../xen-parts.sh'; xen_pack_root '$folder' '$version'"
  rm -rf "$folder/archives" "$folder/boot" "$folder/root.tar"
  mv "$folder/packages" "$folder/made-of.txt"
}

# xen_pack_root FOLDER VERSION - the root file system, with what a lab's host is beyond its packages, as a disk.
xen_pack_root() {
  local folder=$1 version=$2 archive
  mkdir "$folder/root"
  tar -C "$folder/root" --exclude='./dev/*' -xf "$folder/root.tar"
  xen_dress_root "$folder" "$version"
  truncate -s "$xen_dom0_disk" "$folder/dom0.raw"
  mke2fs -q -F -t ext4 -m 0 -O ^metadata_csum,^has_journal -d "$folder/root" "$folder/dom0.raw"
  qemu-img convert -O qcow2 "$folder/dom0.raw" "$folder/dom0.qcow2"
  {
    for archive in "$folder"/archives/*.deb; do basename "$archive" .deb; done
    xen_versions "$folder/root"
  } >"$folder/packages"
  rm -rf "$folder/root" "$folder/dom0.raw"
}

# xen_versions ROOT - the packages of a root file system with their versions.
xen_versions() {
  awk '/^Package: /{p=$2} /^Version: /{print p "_" $2}' "$1/var/lib/dpkg/status"
}

xen_fetch_kernel() {
  local folder=$1 kernel archive
  kernel=$(apt-cache depends "$xen_kernel_package" 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
  [[ -n $kernel ]] || fail 1 "this machine's package lists have no $xen_kernel_package: apt-get update"
  (cd "$folder/archives" && apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$kernel" "$xen_hypervisor_package" busybox-static >&2) ||
    fail 1 "apt-get could not download $kernel, $xen_hypervisor_package and busybox-static"
  for archive in "$folder"/archives/*.deb; do dpkg-deb -x "$archive" "$folder/boot"; done
}

# xen_modules FOLDER VERSION NAME... - their files with what they need, in the order of loading.
xen_modules() {
  local folder=$1 version=$2 name
  shift 2
  for name in "$@"; do
    modprobe -S "$version" -d "$folder/boot" --show-depends "$name" | awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++'
}

xen_make_ramdisk() {
  local folder=$1 version=$2 tree=$1/ramdisk-tree file
  mkdir -p "$tree"/{bin,dev,proc,lib,root}
  cp "$folder/boot/bin/busybox" "$tree/bin/busybox"
  cp "$xen_helpers/dom0-ramdisk.sh" "$tree/init"
  chmod 755 "$tree/init"
  while read -r file; do
    cp "$file" "$tree/lib/"
    basename "$file" >>"$tree/lib/order"
  done < <(xen_modules "$folder" "$version" "${xen_ramdisk_modules[@]}")
  (cd "$tree" && find . | cpio -o -H newc --quiet) | gzip -1 >"$folder/ramdisk"
  rm -rf "$tree"
}

# xen_sources - this machine's sources of Debian's own packages, as a sources.list.
xen_sources() {
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 'Architecture: amd64' |
    awk '$4 == "main" && $3 ~ /^bookworm/' | sort -u
}

xen_make_root() {
  local folder=$1 sources
  sources=$(xen_sources)
  [[ -n $sources ]] || fail 1 "this machine's package lists have no Debian 12 (bookworm): apt-get update"
  local mode=root
  ((EUID == 0)) || mode=unshare
  mmdebstrap --quiet --variant=minbase --mode="$mode" --include="$(IFS=,; printf '%s' "${xen_dom0_packages[*]}")" \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt=force-unsafe-io \
    bookworm "$folder/root.tar" - <<<"$sources" >&2 || fail 1 "mmdebstrap could not make dom0's root file system (its reasons are above)"
}

# xen_dress_root FOLDER VERSION - what a lab's host is beyond its packages.
xen_dress_root() {
  local folder=$1 root=$1/root version=$2 file place
  while read -r file; do
    place=$root/usr/lib/modules/${file#*/lib/modules/}
    mkdir -p "$(dirname "$place")"
    cp "$file" "$place"
  done < <(xen_modules "$folder" "$version" "${xen_dom0_modules[@]}")
  cp "$folder/boot/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$version/"
  depmod -b "$root" "$version"
  # libvirtd ends itself when one of the drivers that are there cannot start.
  find "$root/usr/lib/x86_64-linux-gnu/libvirt/connection-driver" -type f ! -name '*libxl*' -delete
  # QEMU's CPU is like this model but for `sep`, and libvirt's libxl driver gives up on a host's CPU that it cannot name.
  sed -i "/name='sep'/d" "$root/usr/share/libvirt/cpu_map/x86_Opteron_G1.xml"
  rm -f "$root"/etc/ssh/ssh_host_*
  printf '%s\n' 'UseDNS no' 'PasswordAuthentication no' 'MaxStartups 50' 'MaxSessions 50' >"$root/etc/ssh/sshd_config.d/lab.conf"
  mkdir -p "$root/lab" "$root/share" "$root/root/.ssh" "$root/var/lib/cairn"
  chmod 700 "$root/root" "$root/root/.ssh"
  cp "$folder/console-watch" "$root/lab/"
}
