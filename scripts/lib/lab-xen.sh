# shellcheck shell=bash
# Two Xen hosts on this machine, emulated by QEMU: a real hypervisor with a real dom0 in each. Every process is remembered by
# process id and start time. Needs terminal.sh, processes.sh and xen-parts.sh.

xen_usage() {
  cat <<'END'
usage: scripts/lab xen COMMAND [--dir DIR] [OPTION...] [-- PROGRAM...]

Two real Xen 4.17 hosts, a and b, each with a Debian dom0 that runs libvirt, emulated
by QEMU on this machine (no KVM is needed). They reach this machine's 127.0.0.1 as
10.0.2.2, and its 127.77.x.x under these very addresses. What they need comes by
scripts/setup --xen.

  up                     start them; when they are up already, say so
  down                   end them and remove their files
  status                 say what runs
  run -- PROGRAM...      start them, run the program with the environment that `up`
                         writes, take them down
  ssh HOST -- WORD...    run a command in HOST's dom0 (a or b)
  copy HOST SOURCE... DESTINATION
                         copy files and directories of this machine into dom0
  swift-test HOST [--bundle FILE] -- WORD...
                         run a test bundle (default: .build/debug's) in dom0
  kill HOST              SIGKILL to HOST's QEMU: the host is lost at once
  start HOST             start a host that was killed, with the disk that it had
  log HOST               what HOST said on its serial line
  test                   everything that is to be shown on Xen, from nothing, in a
                         lab of its own (see docs/xen-lab.md). --out FILE writes
                         FILE.md and FILE.json if all passed; --only STEP,... does
                         some of conformance, pauses, unions, use-case; --results DIR
                         keeps logs and figures there, beside those of steps that an
                         earlier run did; --cairn and --bundle take programs that were
                         built before

  --dir DIR              where the lab lives (default: /tmp/cairn-xen-UID)
  --hosts a|ab           which hosts (default: ab)
  --memory MIB           memory of a host (default: 2048)
  --dom0 MIB             of that, dom0's (default: 700)

`up` writes DIR/env, to be sourced: CAIRN_XEN_DIR, CAIRN_XEN_A and CAIRN_XEN_B (a
command to put before words that are to run in dom0), CAIRN_XEN_SHARE (a directory
that is /share in both).

exit codes: 0 done; 1 it did not come up, or the program's own; 2 wrong usage;
4 parts are missing.
END
}

xen_main() {
  (($#)) || { xen_usage >&2; exit 2; }
  local command=$1
  shift
  directory=/tmp/cairn-xen-$UID
  xen_hosts=ab
  xen_memory=2048
  xen_dom0_memory=700
  xen_bundle=
  xen_out=
  xen_cairn=
  xen_only=
  xen_results=
  xen_directory_given=no
  xen_runs=no
  local -a words=() program_words=()
  while (($#)); do
    case $1 in
      --dir) directory=${2:?--dir takes a directory}; xen_directory_given=yes; shift ;;
      --hosts) xen_hosts=${2:-}; shift ;;
      --memory) xen_memory=${2:-}; shift ;;
      --dom0) xen_dom0_memory=${2:-}; shift ;;
      --bundle) xen_bundle=${2:?--bundle takes a file}; shift ;;
      --cairn) xen_cairn=${2:?--cairn takes a file}; shift ;;
      --results) xen_results=${2:?--results takes a directory}; shift ;;
      --only) xen_only=${2:?--only takes steps}; shift ;;
      --out) xen_out=${2:?--out takes a file name}; shift ;;
      -h | --help) xen_usage; exit 0 ;;
      --) shift; program_words=("$@"); break ;;
      -*) xen_usage >&2; fail 2 "unknown option: $1" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  [[ $xen_hosts == a || $xen_hosts == ab ]] || fail 2 "--hosts is a or ab"
  if ! whole_number "$xen_memory" || ! whole_number "$xen_dom0_memory"; then fail 2 "--memory and --dom0 are numbers of MiB"; fi
  ((xen_dom0_memory >= 400 && xen_memory >= xen_dom0_memory + 256)) || fail 2 "dom0 wants 400 MiB, and 256 MiB must be left for Xen and guests"
  [[ $directory == /* ]] || directory=$PWD/$directory
  # A socket's path has a limit of 107 bytes.
  ((${#directory} <= 80)) || fail 2 "--dir is too long for sockets below it: 80 bytes at most"
  [[ -z $xen_results || $xen_results == /* ]] || xen_results=$PWD/$xen_results
  case $command in
    up) xen_up ;;
    down) xen_down ;;
    status) xen_status ;;
    run)
      ((${#program_words[@]})) || fail 2 "run wants -- and a program"
      xen_own
      xen_up
      # shellcheck disable=SC1091
      source "$directory/env"
      local status=0
      "${program_words[@]}" || status=$?
      exit "$status"
      ;;
    ssh)
      ((${#program_words[@]})) || fail 2 "ssh wants a host, -- and a command"
      xen_ssh "$(xen_which "${words[@]}")" "${program_words[@]}"
      ;;
    copy) xen_copy "${words[@]}" ;;
    swift-test) xen_swift_test "$(xen_which "${words[@]}")" "${program_words[@]}" ;;
    kill) end_process "$directory/$(xen_which "${words[@]}").pid" 0 ;;
    start)
      local host
      host=$(xen_which "${words[@]}")
      ! remembered_process "$directory/$host.pid" >/dev/null || fail 1 "host $host runs"
      xen_start "$host"
      xen_await "$host"
      ;;
    log) cat "$directory/$(xen_which "${words[@]}").log" ;;
    test)
      # shellcheck source=scripts/lib/xen-test.sh
      source "$here/lib/xen-test.sh"
      xen_test
      ;;
    -h | --help) xen_usage ;;
    *) xen_usage >&2; fail 2 "unknown command: $command" ;;
  esac
}

# xen_own - an end of this script is the lab's end.
xen_own() {
  xen_runs=yes
  trap xen_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

xen_which() {
  [[ ${1:-} == [ab] ]] || fail 2 "which host? a or b"
  [[ -f $directory/env ]] || fail 1 "no Xen lab in $directory: scripts/lab xen up"
  [[ -f $directory/$1.port ]] || fail 2 "there is no host $1 in this lab"
  printf '%s' "$1"
}

xen_each() { fold -w1 <<<"$xen_hosts"; }

xen_up() {
  local host up=yes
  for host in $(xen_each); do remembered_process "$directory/$host.pid" >/dev/null || up=no; done
  if [[ -f $directory/env && $up == yes ]]; then
    say "the Xen lab is up already in $directory"
    cat "$directory/env"
    return
  fi
  local missing
  missing=$(xen_missing_tools)
  [[ -z $missing ]] || fail 4 "missing: ${missing//$'\n'/, }; run scripts/setup --xen"
  xen_make_parts
  xen_down
  mkdir -p "$directory/share"
  # Until it is up, an end of this script is the end of what it started.
  xen_came_up=no
  [[ -n $(trap -p EXIT) ]] || trap '[[ $xen_came_up == yes ]] || xen_down' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  local begun=$SECONDS
  ssh-keygen -q -t ed25519 -N '' -C lab -f "$directory/key"
  ssh-keygen -q -t ed25519 -N '' -C lab -f "$directory/host-key"
  for host in $(xen_each); do
    xen_configure "$host"
    xen_start "$host"
  done
  for host in $(xen_each); do xen_await "$host"; done
  {
    printf 'export CAIRN_XEN_DIR=%q\nexport CAIRN_XEN_SHARE=%q\n' "$directory" "$directory/share"
    for host in $(xen_each); do printf 'export CAIRN_XEN_%s=%q\n' "${host^^}" "$directory/ssh-$host"; done
  } >"$directory/env.new"
  mv "$directory/env.new" "$directory/env"
  xen_came_up=yes
  [[ $xen_runs == yes ]] || trap - INT TERM HUP
  say "the Xen lab is up after $((SECONDS - begun)) s"
  cat "$directory/env"
}

xen_down() {
  [[ -d $directory ]] || return 0
  local record
  # The masters of the shared connections end with the hosts that they lead to.
  for record in "$directory"/[ab].pid "$directory"/[ab].master; do
    [[ ! -f $record ]] || end_process "$record" 0 || say "could not end the process of $record"
  done
  rm -rf "$directory"
}

xen_status() {
  local record host
  [[ -f $directory/env ]] || { say "no Xen lab in $directory"; return 1; }
  cat "$directory/env"
  for record in "$directory"/[ab].pid "$directory"/[ab].port; do
    [[ $record == *.port ]] || continue
    host=$(basename "$record" .port)
    printf '%s %s\n' "$host" "$(remembered_process "$directory/$host.pid" || echo "not running")"
  done
}

# xen_configure HOST - its disk, and a ramdisk that also holds what it is to know: name, keys, names of others.
xen_configure() {
  local host=$1 cache tree=$directory/config
  cache=$(xen_cache)
  qemu-img create -q -f qcow2 -b "$cache/dom0.qcow2" -F qcow2 "$directory/$host.qcow2"
  rm -rf "$tree"
  mkdir -p "$tree/config/etc/ssh" "$tree/config/root/.ssh" "$tree/config/lab"
  cp "$xen_helpers/dom0-init.sh" "$tree/config/lab/init"
  chmod 755 "$tree/config/lab/init"
  chmod 700 "$tree/config/root" "$tree/config/root/.ssh"
  printf 'xen-%s\n' "$host" >"$tree/config/etc/hostname"
  printf '127.0.0.1 localhost xen-%s\n10.0.2.2 host\n' "$host" >"$tree/config/etc/hosts"
  cp "$directory/key.pub" "$tree/config/root/.ssh/authorized_keys"
  chmod 600 "$tree/config/root/.ssh/authorized_keys"
  cp "$directory/host-key" "$tree/config/etc/ssh/ssh_host_ed25519_key"
  cp "$directory/host-key.pub" "$tree/config/etc/ssh/ssh_host_ed25519_key.pub"
  # The kernel unpacks archives one after the other.
  (cat "$cache/ramdisk" && cd "$tree" && find config | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$directory/$host.ramdisk"
  rm -rf "$tree"
  local port
  port=$(xen_free_port)
  printf '%s' "$port" >"$directory/$host.port"
  printf 'xen-%s %s\n' "$host" "$(cut -d' ' -f1,2 "$directory/host-key.pub")" >>"$directory/known-hosts"
  printf '#!/bin/sh\nexec %q xen ssh %s --dir %q -- "$@"\n' "$here/lab" "$host" "$directory" >"$directory/ssh-$host"
  chmod 755 "$directory/ssh-$host"
}

# xen_free_port - one that nothing listens on and that no host of this lab has.
xen_free_port() {
  local port=$((22000 + RANDOM % 2000))
  while listened "$port" || grep -qsx "$port" "$directory"/[ab].port; do port=$((port + 1)); done
  printf '%s' "$port"
}

# PV guests want a CPU that dom0's kernel and libvirt both know, PVH guests one with SVM, which QEMU emulates.
xen_cpu=Nehalem-v1,vendor=AuthenticAMD,family=16,model=2,stepping=3,+svm,+npt

xen_start() {
  local host=$1 cache started
  cache=$(xen_cache)
  : >"$directory/$host.log"
  local -a qemu=(
    qemu-system-x86_64 -name "cairn-lab-xen-$host" -accel tcg,thread=multi,tb-size=256 -cpu "$xen_cpu" -smp 2 -m "$xen_memory"
    -display none -monitor none -parallel none -serial "file:$directory/$host.log" -no-reboot
    -kernel "$cache/xen"
    -append "dom0_mem=${xen_dom0_memory}M,max:${xen_dom0_memory}M dom0_max_vcpus=1 console=com1 com1=115200 loglvl=warning spec-ctrl=no bootscrub=0"
    -initrd "$cache/vmlinuz console=hvc0 quiet panic=1 loglevel=3,$directory/$host.ramdisk"
    -drive "file=$directory/$host.qcow2,if=virtio,format=qcow2,cache=unsafe"
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$(<"$directory/$host.port")-:22" -device "virtio-net-pci,netdev=net,romfile="
    -virtfs "local,path=$directory/share,mount_tag=share,security_model=none"
  )
  (
    xen_close_inherited
    exec setsid "${qemu[@]}"
  ) >"$directory/$host.qemu.log" 2>&1 </dev/null &
  started=$!
  disown "$started"
  remember_process "$directory/$host.pid" "$started" || fail 1 "host $host ended at once: $(cat "$directory/$host.qemu.log")"
}

# xen_close_inherited - close what the caller had open: who waits for its pipes to close is not to wait for a host.
xen_close_inherited() {
  local entry
  for entry in "/proc/$BASHPID/fd"/*; do
    entry=${entry##*/}
    ((entry <= 2)) || eval "exec $entry>&-"
  done
}

# xen_await HOST - until its libvirt answers and commands can be run in it.
xen_await() {
  local host=$1 waited=0
  until grep -q '^LAB UP' "$directory/$host.log"; do
    if ! remembered_process "$directory/$host.pid" >/dev/null || grep -q '^LAB FAIL' "$directory/$host.log" || ((waited > 1200)); then
      tail -n 25 "$directory/$host.log" "$directory/$host.qemu.log" >&2
      fail 1 "host $host did not come up$( ((waited <= 1200)) || echo " within 4 minutes")"
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  xen_connect "$host"
}

# One connection is kept open and shared, since every new one costs a second of emulated cryptography.
xen_connect() {
  local host=$1 waited=0
  rm -f "$directory/$host.socket"
  (
    xen_close_inherited
    exec setsid ssh "${xen_ssh_options[@]}" -o "UserKnownHostsFile=$directory/known-hosts" -o "HostKeyAlias=xen-$host" -i "$directory/key" \
      -p "$(<"$directory/$host.port")" -o ServerAliveInterval=15 -o ServerAliveCountMax=8 -M -N -S "$directory/$host.socket" root@127.0.0.1
  ) >"$directory/$host.ssh.log" 2>&1 </dev/null &
  disown "$!"
  remember_process "$directory/$host.master" "$!" || fail 1 "no connection to host $host: $(cat "$directory/$host.ssh.log")"
  until [[ -S $directory/$host.socket ]]; do
    sleep 0.1
    waited=$((waited + 1))
    if ((waited > 600)) || ! remembered_process "$directory/$host.master" >/dev/null; then
      fail 1 "no connection to host $host: $(cat "$directory/$host.ssh.log")"
    fi
  done
}

xen_ssh_options=(-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=30 -o LogLevel=ERROR)

# xen_ssh HOST WORD... - the words arrive as they are. Its exit code is the command's.
xen_ssh() {
  local host=$1 line
  shift
  remembered_process "$directory/$host.pid" >/dev/null || fail 1 "host $host does not run"
  printf -v line '%q ' "$@"
  ssh "${xen_ssh_options[@]}" -o "UserKnownHostsFile=$directory/known-hosts" -o "HostKeyAlias=xen-$host" -i "$directory/key" \
    -p "$(<"$directory/$host.port")" -o ControlMaster=no -S "$directory/$host.socket" root@127.0.0.1 \
    "PATH=/usr/lib/xen-4.17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $line"
}

# xen_copy HOST SOURCE... DESTINATION - by the shared directory: fast, since nothing is encrypted.
xen_copy() {
  local host
  host=$(xen_which "${1:-}")
  shift
  (($# >= 2)) || fail 2 "copy wants a host, at least one source, and a destination"
  local destination=${*: -1} way status=0
  way=$(mktemp -d "$directory/share/copy.XXXXXX")
  cp -a --reflink=auto "${@:1:$#-1}" "$way/" || status=$?
  # shellcheck disable=SC2016  # for dom0's shell
  ((status)) || xen_ssh "$host" sh -c 'set -e; if [ $(ls -A "$1" | wc -l) -gt 1 ] || [ "${2%/}" != "$2" ]; then mkdir -p "$2"; else mkdir -p "$(dirname "$2")"; fi
    cp -a --no-preserve=ownership "$1"/* "$2"' copy "/share/${way##*/}" "$destination" || status=$?
  rm -rf "$way"
  return "$status"
}

# xen_swift_test HOST WORD... - a test bundle with the Swift runtime that it was linked to.
xen_swift_test() {
  local host=$1 library bundle place=/opt/swift-test
  shift
  bundle=${xen_bundle:-$(dirname "$here")/.build/debug/cairnPackageTests.xctest}
  [[ -f $bundle ]] || fail 1 "there is no test bundle $bundle: swift build --build-tests"
  local -a libraries=()
  while read -r library; do libraries+=("$library"); done < <(ldd "$bundle" | awk '$3 ~ /\/swift\/linux\// { print $3 }')
  ((${#libraries[@]})) || fail 1 "$bundle is linked to no Swift runtime, or its libraries are not found"
  # Libraries once; the bundle each time.
  xen_ssh "$host" test -f "$place/whole" || {
    xen_ssh "$host" mkdir -p "$place/lib"
    xen_copy "$host" "${libraries[@]}" "$place/lib/"
    xen_ssh "$host" touch "$place/whole"
  }
  xen_copy "$host" "$bundle" "$place/bundle.xctest"
  local -a settings=()
  local name
  for name in $(compgen -e | grep '^CAIRN_'); do settings+=("$name=${!name}"); done
  xen_ssh "$host" env "LD_LIBRARY_PATH=$place/lib" "${settings[@]}" "$place/bundle.xctest" --testing-library swift-testing "$@"
}
