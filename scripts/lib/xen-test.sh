# shellcheck shell=bash
# What is to be shown on Xen, from nothing, on two emulated hosts of its own. Needs lab-xen.sh; docs/xen-lab.md says what it shows.

xen_test_steps=(conformance pauses unions use-case)

# xen_test - exit code 0 when all of it was shown.
xen_test() {
  local step status=0 beside=
  top=$(dirname "$here")
  [[ -z $xen_out || -d $(dirname "$xen_out") ]] || fail 2 "there is no directory for $xen_out"
  for step in ${xen_only//,/ }; do
    [[ " ${xen_test_steps[*]} " == *" $step "* ]] || fail 2 "--only takes some of: ${xen_test_steps[*]}"
  done
  # A lab of its own: nothing that somebody has running is touched.
  [[ $xen_directory_given == yes ]] || directory=/tmp/cairn-xt-$$
  xen_own
  trap xen_test_end EXIT
  results=${xen_results:-$directory-results}
  mkdir -p "$results/processes"
  xen_begun=$SECONDS
  xen_test_parts
  xen_say "starting two Xen hosts"
  xen_up >"$results/up.log"
  rm -f "$results/failed"
  for step in "${xen_test_steps[@]}"; do
    xen_wants "$step" || continue
    case $step in
      conformance)
        # Host a comes through its half first, and takes the unions then.
        rm -f "$results/a-is-free"
        if xen_wants unions; then
          xen_step unions "$results/a-is-free" &
          beside=$!
          remember_process "$results/processes/beside" "$beside" || true
        fi
        xen_step conformance
        : >"$results/a-is-free"
        if [[ -n $beside ]]; then wait "$beside"; fi
        ;;
      unions) if [[ -z $beside ]]; then xen_step unions; fi ;;
      *) xen_step "$step" ;;
    esac
  done
  [[ ! -f $results/failed ]] || status=1
  xen_describe >"$results/lab.json"
  python3 "$xen_helpers/report.py" "$results" "$results/report" || status=1
  cat "$results/report.md"
  if [[ -n $xen_out && $status -eq 0 ]]; then cp "$results/report.md" "$xen_out.md"; cp "$results/report.json" "$xen_out.json"; fi
  [[ -z $xen_out || $status -eq 0 ]] || say "$xen_out is left as it was, since not all passed"
  exit "$status"
}

xen_wants() { [[ -z $xen_only || ,$xen_only, == *,$1,* ]]; }

# xen_step STEP [FILE] - once FILE is there, run the step, and write down what came of it. Not to be called in a condition: nothing in the step would end
# it then.
xen_step() {
  local begun outcome=passed
  [[ -z ${2:-} ]] || until [[ -f $2 ]]; do sleep 0.5; done
  begun=$SECONDS
  xen_say "$1"
  # In a shell of its own, since a failed step is not to keep the others from being shown.
  ("xen_test_${1//-/_}") &
  remember_process "$results/processes/$1" "$!" || true
  wait "$!" || outcome=failed
  (
    flock 9
    # What an earlier run into the same directory said of this step is over.
    [[ ! -f $results/steps.jsonl ]] || sed -i "/\"step\":\"$1\"/d" "$results/steps.jsonl"
    printf '{"step":"%s","outcome":"%s","seconds":%d}\n' "$1" "$outcome" $((SECONDS - begun)) >>"$results/steps.jsonl"
  ) 9>"$results/steps.lock"
  [[ $outcome == passed ]] || : >"$results/failed"
  xen_say "$1: $outcome after $((SECONDS - begun)) s"
}

xen_say() { printf '\n== %s (%d min %02d s so far)\n' "$*" $(((SECONDS - xen_begun) / 60)) $(((SECONDS - xen_begun) % 60)) >&2; }

xen_test_end() {
  local status=$? record leader
  # With all that they started.
  for record in setup tests; do
    if leader=$(remembered_process "$results/processes/$record"); then kill -TERM -- "-$leader" 2>/dev/null || true; fi
  done
  for record in "$results"/processes/*; do [[ ! -f $record ]] || end_process "$record" 1 || true; done
  "$here/lab" hdfs down --dir "$directory/hdfs" || true
  if ((status == 0)) && [[ -z $xen_results ]]; then rm -rf "$results"; else say "logs are in $results"; fi
  xen_down
}

# xen_beside NAME COMMAND... - run it while others do, in a session of its own; what it says goes to NAME.log.
xen_beside() {
  local name=$1
  shift
  setsid "$@" >"$results/$name.log" 2>&1 </dev/null &
  remember_process "$results/processes/$name" "$!" || true
  xen_started[$name]=$!
}

# xen_beside_done NAME - wait for it; end with what it said last when it did not come through.
xen_beside_done() {
  wait "${xen_started[$1]}" || {
    tail -n 20 "$results/$1.log" >&2
    fail 1 "$1 did not come through; the whole of it: $results/$1.log"
  }
  rm -f "$results/processes/$1"
}
declare -gA xen_started=()

# xen_test_parts - the programs and images.
xen_test_parts() {
  xen_from_nothing=true
  if xen_cache_is_whole || [[ -n $xen_bundle$xen_cairn || -d $top/.build-xen || -d $top/.build-xen-tests ]]; then xen_from_nothing=false; fi
  xen_say "installing what is missing"
  "$here/setup"
  # The builds need none of the rest, nor both processors all the time.
  xen_beside setup "$here/setup" --xen --hdfs
  cd "$top"
  cairn=$xen_cairn
  if [[ -z $xen_bundle ]]; then
    xen_beside tests env CAIRN_ROOMS=LibvirtHypervisor swift build --build-tests --scratch-path .build-xen-tests
    xen_bundle=$top/.build-xen-tests/debug/cairnPackageTests.xctest
  fi
  if [[ -z $cairn ]]; then
    xen_say "building cairn with Swift's libraries in it (release; the first time takes some minutes), and beside it the tests and dom0's root file system"
    swift build -c release --static-swift-stdlib --product cairn --scratch-path .build-xen
    cairn=$top/.build-xen/release/cairn
  fi
  xen_say "waiting for what was made beside it"
  xen_beside_done setup
  [[ -z ${xen_started[tests]:-} ]] || xen_beside_done tests
  xen_say "making guest images"
  rm -rf "$results/images"
  "$cairn" image build "$results/images/auto"
  local union
  for union in $(xen_unions); do "$cairn" image build --union "$union" "$results/images/$union"; done
}

# xen_unions - those that the guest's kernel offers.
xen_unions() { jq -r '.unionsAvailable[]' "$results/images/auto/image.json"; }

# xen_suite HOST LOG IMAGE WORD... - tests in HOST's dom0; the settings come before as NAME=VALUE.
xen_suite() {
  local host=$1 log=$2 image=$3
  shift 3
  local -a settings=(CAIRN_XEN=1 "CAIRN_XEN_IMAGE=/var/lib/cairn/${image##*/}")
  while [[ ${1:-} == *=* ]]; do settings+=("$1"); shift; done
  xen_ssh "$host" test -d "/var/lib/cairn/${image##*/}" || xen_copy "$host" "$image" "/var/lib/cairn/${image##*/}"
  env "${settings[@]}" "$here/lab" xen swift-test "$host" --dir "$directory" --bundle "$xen_bundle" -- --no-parallel "$@" >"$log" 2>&1 || {
    grep -E '✘|Error|error' "$log" | tail -n 20 >&2
    say "the whole of it: $log"
    return 1
  }
  # A filter that fits nothing passes, too.
  grep -qE 'Test run with [1-9][0-9]* tests?' "$log" || { say "no test was run: $log"; return 1; }
}

# Paravirtualised guests on one host while the other runs those with a virtualised processor.
xen_test_conformance() {
  local pv=0 pvh=0
  {
    xen_suite a "$results/conformance-pv.log" "$results/images/auto" CAIRN_XEN_GUESTS=pv --filter HypervisorConformance || pv=1
    : >"$results/a-is-free"
    ((pv == 0))
  } &
  local beside=$!
  xen_suite b "$results/conformance-pvh.log" "$results/images/auto" CAIRN_XEN_GUESTS=pvh --filter HypervisorConformance || pvh=1
  wait "$beside" || pv=1
  ((pv == 0 && pvh == 0))
}

# Nothing else runs meanwhile, and each host has a processor of this machine: a for PV, b for PVH.
xen_test_pauses() {
  local pv=0 pvh=0
  xen_suite a "$results/pauses-pv.log" "$results/images/auto" CAIRN_XEN_PAUSES=3 CAIRN_XEN_GUESTS=pv --filter XenPauses &
  local beside=$!
  xen_suite b "$results/pauses-pvh.log" "$results/images/auto" CAIRN_XEN_PAUSES=3 CAIRN_XEN_GUESTS=pvh --filter XenPauses || pvh=1
  wait "$beside" || pv=1
  sed -n 's/^PAUSE //p' "$results/pauses-pv.log" "$results/pauses-pvh.log" >"$results/pauses.jsonl"
  ((pv == 0 && pvh == 0)) && [[ -s $results/pauses.jsonl ]]
}

# A guest with each union, captured and gone on from elsewhere, as in the conformance suite.
xen_test_unions() {
  local union status=0
  for union in $(xen_unions); do
    xen_suite a "$results/union-$union.log" "$results/images/$union" CAIRN_XEN_GUESTS=pvh CAIRN_XEN_UNION="$union" --filter XenUnion || status=1
  done
  return "$status"
}

xen_describe() {
  local cache
  cache=$(xen_cache)
  jq -n --arg processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" --argjson cores "$(nproc)" \
    --argjson memory "$(($(awk '/^MemTotal/ { print $2 }' /proc/meminfo) * 1024))" --arg qemu "$(qemu-system-x86_64 --version | sed -n '1s/.*version //p')" \
    --arg xen "$(xen_version xen-hypervisor-4.17-amd64 "$cache")" --arg kernel "$(grep -oE '^linux-image-.*' "$cache/made-of.txt" | head -n 1)" \
    --arg libvirt "$(xen_version libvirt-daemon-driver-xen "$cache")" --arg guest "$(jq -r .kernelVersion "$results/images/auto/image.json")" \
    --argjson hostMemory "$((xen_memory << 20))" --argjson dom0Memory "$((xen_dom0_memory << 20))" --argjson seconds $((SECONDS - xen_begun)) --argjson fromNothing "$xen_from_nothing" \
    --arg commit "$(git -C "$top" rev-parse HEAD 2>/dev/null || true)" --arg at "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    '{at: $at, commit: $commit, processor: $processor, cores: $cores, memoryBytes: $memory, qemu: $qemu, xen: $xen, dom0Kernel: $kernel,
      libvirt: $libvirt, guestKernel: $guest, hostMemoryBytes: $hostMemory, dom0MemoryBytes: $dom0Memory, seconds: $seconds, fromNothing: $fromNothing}'
}

xen_version() { sed -n "s/^$1_\\([^_]*\\).*/\\1/p" "$2/made-of.txt" | head -n 1; }

# ---- the use case: host A dies, and its task goes on at host B

xen_test_use_case() {
  local world=$directory/world run manager task
  run=$(sed -nE 's/^ *run: *([^#]*[^# ]) *(#.*)?$/\1/p' "$xen_helpers/use-case.yaml")
  mkdir -p "$world/images" "$world/policies"
  cp -r "$results/images/auto" "$world/images/chain"
  "$cairn" image result "$world/images/chain" "$run" >"$results/expected"
  cp "$xen_helpers/use-case-policy.yaml" "$world/policies/"
  unset CAIRN_HDFS CAIRN_HDFS_DIR
  "$here/lab" hdfs up --dir "$directory/hdfs" --datanodes 3 --address 127.77.0.1
  # shellcheck disable=SC1091
  source "$directory/hdfs/env"
  # What cuts host a off for good before its tasks go on elsewhere: nothing of it runs any more when this returns.
  printf '#!/bin/sh\nexec %q xen kill "$CAIRN_NODE" --dir %q\n' "$here/lab" "$directory" >"$world/fence"
  chmod 755 "$world/fence"
  cat >"$world/fleet.yaml" <<END
apiVersion: cairn/v1
kind: Fleet
metadata: {name: xen-lab}
spec:
  images: $world/images
  nodes:
    - {name: a, class: xen, hypervisor: 'xen:///system', capacity: 2, fence: {command: [$world/fence]}}
    - {name: b, class: xen, hypervisor: 'xen:///system', capacity: 2, fence: {command: [$world/fence]}}
  store: {webhdfs: {namenodes: ['$CAIRN_HDFS'], root: /cairn, user: cairn}}
  defaults:
    heartbeat: 2s
    reliability: {mtbf: 10m, weight: 1}
END
  local host
  for host in a b; do
    xen_copy "$host" "$cairn" /usr/local/bin/cairn
    xen_copy "$host" "$world/images" "$world/images"
    xen_copy "$host" "$world/fleet.yaml" "$world/fleet.yaml"
  done
  "$cairn" run --fleet "$world/fleet.yaml" --policies "$world/policies" --state "$world/state" --host 127.77.0.1 --port 0 \
    >"$results/manager.log" 2>&1 &
  disown "$!"
  remember_process "$results/processes/manager" "$!" || fail 1 "the manager ended at once: $(cat "$results/manager.log")"
  xen_until 30 "the manager" test -s "$world/state/manager.json"
  manager=$(jq -r .url "$world/state/manager.json")

  # One agent first, so that the task begins there.
  xen_agent a "$manager"
  xen_until 120 "node a" xen_joined a
  task=$("$cairn" task submit "$xen_helpers/use-case.yaml" --state "$world/state")
  xen_until 120 "the task on a" xen_tasks ".[] | select(.state == \"running\" and .node == \"a\")"
  xen_agent b "$manager"
  xen_until 120 "node b" xen_joined b
  say "$task runs on a; waiting for two checkpoints in HDFS"
  xen_until 240 "two checkpoints" xen_tasks '.[] | select(.node == "a" and .checkpoints >= 2)'
  # HDFS says done at one copy, and makes the others at once.
  xen_until 60 "three copies of everything in HDFS" xen_is_replicated
  xen_console a "$task" >"$results/console-a.log"
  date +%s.%N >"$results/killed-at"
  end_process "$directory/a.pid" 0
  "$here/lab" hdfs kill-datanode 1 --dir "$directory/hdfs"
  say "host a's QEMU and DataNode 1 are killed (SIGKILL)"
  # An agent clears away what a finished task leaves.
  xen_until 420 "a guest on b that finds itself whole" xen_is_whole_on_b "$task"
  xen_until 420 "the task's end on b" xen_tasks '.[] | select(.state == "finished" or .state == "given-up")'
  "$cairn" task show "$task" --state "$world/state" --json >"$results/task.json"
  "$cairn" audit report --state "$world/state" --format json >"$results/audit.json" || true
  "$cairn" audit report --state "$world/state" >"$results/audit.txt" || true
  python3 "$xen_helpers/report.py" --check-use-case "$results"
}

xen_agent() {
  # shellcheck disable=SC2016  # for dom0's shell
  xen_ssh "$1" sh -c 'cd /; setsid cairn agent --node "$1" --fleet "$2" --manager "$3" --work /var/lib/cairn/agent --sample-interval 2 \
    >/share/agent-"$1".log 2>&1 </dev/null &' agent "$1" "$world/fleet.yaml" "$2"
}

xen_joined() {
  [[ -n $(sqlite3 -readonly "$world/state/ledger.db" "SELECT 1 FROM events WHERE kind = 'nodeJoined' AND json_extract(payload_json, '\$.nodeJoined.node') = '$1' LIMIT 1") ]]
}

# xen_tasks FILTER - true when the filter finds something in the list of tasks.
xen_tasks() { [[ -n $("$cairn" task list --state "$world/state" --json | jq -c "$1") ]]; }

xen_is_replicated() { curl -sf --noproxy '*' "$CAIRN_HDFS/fsck?ugi=cairn&path=/cairn" | grep -qE 'Under-replicated blocks:[[:space:]]*0 '; }

xen_console() {
  # shellcheck disable=SC2016  # for dom0's shell
  xen_ssh "$1" sh -c 'cat /var/lib/cairn/agent/tasks/"$1"/*/console.log' console "$2"
}

xen_is_whole_on_b() {
  xen_console b "$1" >"$results/console-b.new" && grep -q '^CAIRN CHECK' "$results/console-b.new" && mv "$results/console-b.new" "$results/console-b.log"
}

# xen_until SECONDS WHAT COMMAND...
xen_until() {
  local patience=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    sleep 0.5
    ((SECONDS < patience)) || { say "waited in vain for $what"; return 1; }
  done
}
