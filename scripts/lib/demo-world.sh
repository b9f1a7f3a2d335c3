# shellcheck shell=bash
# A small world of Cairn's on this machine: a manager, agents, a store. Shared by the demo and the crash
# tests. Needs terminal.sh and processes.sh. Everything it starts has a record in $world/processes, and only that is ended.

# world_begin CAIRN TOP STORE - make the world's directory; STORE is directory or hdfs.
world_begin() {
  cairn=$1
  world_top=$2
  world_store=$3
  # Short: a guest's monitor is a socket below it, and a socket's path has a limit.
  world=$(mktemp -d /tmp/cairn.XXXXXX)
  world_port=0
  unset CAIRN_HDFS CAIRN_HDFS_DIR
  mkdir -p "$world/images" "$world/processes"
}

# world_image [UNION] - make the guest image, or take the one that was made before by this version.
world_image() {
  local cache=${CAIRN_CACHE:-$HOME/.cache/cairn}/images union=${1:-auto} key
  key=$(cat "$world_top"/Sources/Adapters/GuestImages/*.swift "$world_top"/Sources/Adapters/GuestImages/Guest/* | sha256sum | cut -c1-16)
  [[ $union == auto ]] || key+=-$union
  if [[ ! -f $cache/$key/image.json ]]; then
    say "making the guest image"
    mkdir -p "$cache"
    "$cairn" image build "$cache/$key" --union "$union"
  fi
  cp -r "$cache/$key" "$world/images/demo"
}

# world_fleet - the fleet's file. The prior says what an operator would say of such machines: they fail
# every few minutes, which nobody is very sure of.
world_fleet() {
  local store
  if [[ $world_store == hdfs ]]; then
    store="{webhdfs: {namenodes: ['$CAIRN_HDFS'], root: /cairn, user: cairn}}"
  else
    store="{directory: $world/store}"
  fi
  cat >"$world/fleet.yaml" <<END
apiVersion: cairn/v1
kind: Fleet
metadata: {name: demo}
spec:
  images: $world/images
  nodes:
    - {name: a, class: demo, capacity: 4, fence: process}
    - {name: b, class: demo, capacity: 4, fence: process}
  store: $store
  defaults:
    heartbeat: ${world_heartbeat:-1s}
    reliability: {mtbf: ${world_mtbf:-5m}, weight: 1}
END
}

# world_start_manager POLICIES - start (or start again) the manager and wait until it answers.
world_start_manager() {
  world_policies=$1
  if [[ $world_store == hdfs && -z ${CAIRN_HDFS:-} ]]; then
    "$world_top/scripts/lab" hdfs up --dir "$world/hdfs"
    # shellcheck disable=SC1091
    source "$world/hdfs/env"
  fi
  [[ -f $world/fleet.yaml ]] || world_fleet
  rm -f "$world/state/manager.json"
  "$cairn" run --fleet "$world/fleet.yaml" --policies "$world_policies" --state "$world/state" --port "${world_port:-0}" \
    >>"$world/manager.log" 2>&1 &
  disown "$!" # its end is seen by its record; the shell need not tell of it
  remember_process "$world/processes/manager" "$!" || fail 1 "the manager ended at once: $(tail -n 3 "$world/manager.log")"
  world_wait_for 20 "the manager" test -s "$world/state/manager.json"
  world_port=$(sed -E 's/.*:([0-9]+)".*/\1/' <(grep -oE '"url":"[^"]*"' "$world/state/manager.json"))
}

# world_start_agent NODE
world_start_agent() {
  mkdir -p "$world/$1"
  "$cairn" agent --node "$1" --fleet "$world/fleet.yaml" --manager "http://127.0.0.1:$world_port" --work "$world/$1" \
    --sample-interval 2 >>"$world/agent-$1.log" 2>&1 &
  disown "$!"
  remember_process "$world/processes/agent-$1" "$!" || fail 1 "agent $1 ended at once: $(tail -n 3 "$world/agent-$1.log")"
}

# world_wait_for_nodes N - until so many have joined; they first find out what their hypervisors can do.
world_wait_for_nodes() { world_wait_for 60 "$1 nodes" world_has_nodes "$1"; }
world_has_nodes() {
  (($(sqlite3 -readonly "$world/state/ledger.db" "SELECT count(DISTINCT json_extract(payload_json, '$.nodeJoined.node')) FROM events WHERE kind = 'nodeJoined'") >= $1))
}

# world_submit FILE [ARGUMENT...] - print the task.
world_submit() { "$cairn" task submit "$@" --state "$world/state"; }

# world_expected FILE - what the task of a TaskSLA computes when nothing disturbs it.
world_expected() { "$cairn" image result "$world/images/demo" "$(sed -nE 's/^ *run: *([^#]*[^# ]) *(#.*)?$/\1/p' "$1")"; }

# world_tasks FILTER - the tasks as JSON through a line of Python in which `tasks` is the list.
world_tasks() {
  "$cairn" task list --state "$world/state" --json | python3 -c "import json,sys; tasks = json.load(sys.stdin); $1"
}

# world_wait_until_worth_killing NODE - until a task there has a committed checkpoint and is in the middle.
world_wait_until_worth_killing() {
  world_wait_for 150 "a task on $1 in the middle with a checkpoint" world_is_worth_killing "$1"
}
world_is_worth_killing() {
  world_tasks "sys.exit(0 if any(t.get('node') == '$1' and t['checkpoints'] > 0 and 0.4 < t['progress'] < 0.8 for t in tasks) else 1)"
}

# world_guests NODE - the process ids of its guests: QEMUs whose files are below its directory.
world_guests() {
  local process
  for process in /proc/[0-9]*; do
    if [[ $(readlink "$process/exe" 2>/dev/null) == */qemu-system-* ]] && tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q "$world/$1/"; then
      echo "${process#/proc/}"
    fi
  done
}

# world_kill_node NODE - agent and guests at once, without warning.
world_kill_node() {
  local process
  end_process "$world/processes/agent-$1" 0 || true
  for process in $(world_guests "$1"); do kill -KILL "$process" 2>/dev/null || true; done
}

# world_kill_agent NODE - without warning; its guests live on.
world_kill_agent() { end_process "$world/processes/agent-$1" 0; }

# world_kill_manager - without warning.
world_kill_manager() { end_process "$world/processes/manager" 0; }

# world_checkpoint_is_underway - true while one is ordered and neither committed nor failed, as the ledger knows.
world_checkpoint_is_underway() {
  [[ $(sqlite3 -readonly "$world/state/ledger.db" "
    SELECT coalesce(max(sequence) FILTER (WHERE kind = 'checkpointOrdered'), 0)
         > coalesce(max(sequence) FILTER (WHERE kind IN ('checkpointCommitted', 'checkpointFailed')), 0) FROM events") == 1 ]]
}

world_no_checkpoint_is_underway() { ! world_checkpoint_is_underway; }

# world_committed - the checkpoints that are committed in the store, one a line.
world_committed() {
  if [[ $world_store == directory ]]; then
    find "$world/store/tasks" -path '*/objects' -prune -o -name 'e*-c*.json' -print 2>/dev/null | sed -E 's|.*/([^/]*)\.json$|\1|'
    return
  fi
  local url=$CAIRN_HDFS/webhdfs/v1/cairn/tasks task side epoch
  world_listed() { curl -sf --noproxy '*' "$1?op=LISTSTATUS" | grep -oE '"pathSuffix":"[^"]*"' | cut -d'"' -f4 || true; }
  for task in $(world_listed "$url"); do
    for side in open sealed; do
      for epoch in $(world_listed "$url/$task/$side"); do world_listed "$url/$task/$side/$epoch" | sed -n 's/\.json$//p'; done
    done
  done
}

# world_first_schedule TASK - the first schedule decision about a task.
world_first_schedule() {
  "$cairn" decisions --task "$1" --kind schedule --state "$world/state" --json |
    python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["decision"])'
}

# world_wait_for SECONDS WHAT COMMAND... - until the command succeeds.
world_wait_for() {
  local patience=$1 what=$2 waited=0
  shift 2
  until "$@" >/dev/null 2>&1; do
    sleep 0.5
    waited=$((waited + 1))
    if ((waited > patience * 2)); then
      say "waited $patience s for $what"
      return 1
    fi
  done
}

# world_end KEEP - end everything that was started here, remove the directory (KEEP is yes: leave it).
world_end() {
  local record process node
  [[ -n ${world:-} && -d $world ]] || return 0
  for record in "$world"/processes/*; do
    if process=$(remembered_process "$record"); then kill -TERM "$process" 2>/dev/null || true; fi
  done
  for record in "$world"/processes/*; do [[ ! -f $record ]] || end_process "$record" 1 || say "could not end the process of $record"; done
  for node in "$world"/agent-*.log; do
    [[ -f $node ]] || continue
    node=${node##*/agent-}
    for process in $(world_guests "${node%.log}"); do kill -KILL "$process" 2>/dev/null || true; done
  done
  if [[ -d $world/hdfs ]]; then "$world_top/scripts/lab" hdfs down --dir "$world/hdfs" || true; fi
  if [[ ${1:-no} == yes ]]; then say "left for looking at: $world"; else rm -rf "$world"; fi
  world=
}
