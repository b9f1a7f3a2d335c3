# shellcheck shell=bash
# A small world of Cairn's on this machine: a manager, agents, a store. Shared by the demo and the crash
# tests. Needs terminal.sh. Everything it starts is in $world_processes, and only that is ended.

# world_begin CAIRN TOP STORE - make the world's directory; STORE is directory or hdfs.
world_begin() {
  cairn=$1
  world_top=$2
  world_store=$3
  # Short: a guest's monitor is a socket below it, and a socket's path has a limit.
  world=$(mktemp -d /tmp/cairn.XXXXXX)
  world_processes=()
  world_manager=
  mkdir -p "$world/images"
}

# world_image - make the guest image, or take the one that was made before by this version.
world_image() {
  local cache=${CAIRN_CACHE:-$HOME/.cache/cairn}/images key
  key=$(cat "$world_top"/Sources/Adapters/GuestImages/*.swift "$world_top"/Sources/Adapters/GuestImages/Guest/* | sha256sum | cut -c1-16)
  if [[ ! -f $cache/$key/image.json ]]; then
    say "making the guest image"
    mkdir -p "$cache"
    "$cairn" image build "$cache/$key"
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
    heartbeat: 1s
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
  world_manager=$!
  world_processes+=("$world_manager")
  world_wait_for 20 "the manager" test -s "$world/state/manager.json"
  world_port=$(sed -E 's/.*:([0-9]+)".*/\1/' <(grep -oE '"url":"[^"]*"' "$world/state/manager.json"))
}

# world_start_agent NODE
world_start_agent() {
  mkdir -p "$world/$1"
  "$cairn" agent --node "$1" --fleet "$world/fleet.yaml" --manager "http://127.0.0.1:$world_port" --work "$world/$1" \
    --sample-interval 2 >>"$world/agent-$1.log" 2>&1 &
  echo $! >"$world/$1/agent.pid"
  world_processes+=("$!")
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

# world_kill_node NODE - agent and guests at once, without warning.
world_kill_node() {
  local victims
  victims=$(cat "$world/$1/agent.pid" "$world/$1"/libvirt/run/qemu/*.pid 2>/dev/null || true)
  # shellcheck disable=SC2086
  kill -KILL $victims 2>/dev/null || true
}

# world_first_schedule TASK - the first schedule decision about a task.
world_first_schedule() {
  "$cairn" decisions --task "$1" --kind schedule --state "$world/state" --json |
    python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["id"])'
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

# world_end KEEP - end everything that was started here, remove the directory.
world_end() {
  local process guest status=$?
  trap - EXIT
  [[ -z ${saboteur:-} ]] || kill "$saboteur" 2>/dev/null || true
  for process in "${world_processes[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
  sleep 0.5
  for process in "${world_processes[@]}"; do kill -KILL "$process" 2>/dev/null || true; done
  for guest in "$world"/*/libvirt/run/qemu/*.pid; do
    [[ -f $guest ]] || continue
    # Only a QEMU whose files are below this world.
    process=$(<"$guest")
    if tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null | grep -q "$world/"; then kill -KILL "$process" 2>/dev/null || true; fi
  done
  wait 2>/dev/null || true
  if [[ -d $world/hdfs ]]; then "$world_top/scripts/lab" hdfs down --dir "$world/hdfs" || true; fi
  if [[ ${1:-no} == yes ]]; then say "left for looking at: $world"; else rm -rf "$world"; fi
  return "$status"
}
