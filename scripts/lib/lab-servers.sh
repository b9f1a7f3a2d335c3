# shellcheck shell=bash
# What the labs of single servers (FTP, SFTP) have in common. Each server is a process in a session of its own,
# remembered by process id and start time; its sessions are its children. Needs terminal.sh and processes.sh.

# lab_arguments LAB ARGUMENT... - read the command and its options into the lab's variables: lab_command, lab_words,
# lab_program, directory, port_base.
lab_arguments() {
  lab_name=$1
  shift
  (($#)) || { usage >&2; exit 2; }
  lab_command=$1
  shift
  directory=/tmp/cairn-$lab_name-$UID
  lab_words=()
  lab_program=()
  while (($#)); do
    case $1 in
      --dir) directory=${2:?--dir takes a directory}; shift ;;
      --port-base) port_base=${2:-}; shift ;;
      --) shift; lab_program=("$@"); break ;;
      -h | --help) usage; exit 0 ;;
      -*) usage >&2; fail 2 "unknown option: $1" ;;
      *) lab_words+=("$1") ;;
    esac
    shift
  done
  whole_number "$port_base" || fail 2 "--port-base is a number"
  [[ $directory == /* ]] || directory=$PWD/$directory
  [[ $directory =~ ^[A-Za-z0-9._/-]+$ ]] || fail 2 "--dir is a path of letters, digits, dots and dashes: the servers' configurations quote nothing"
}

# lab_dispatch - do lab_command by the functions LAB_start, LAB_make and LAB_environment.
lab_dispatch() {
  case $lab_command in
    up) lab_up; [[ $lab_is_run == yes ]] || trap - EXIT INT TERM HUP ;;
    down) lab_down ;;
    status) lab_status ;;
    run)
      ((${#lab_program[@]})) || fail 2 "run wants -- and a program"
      lab_is_run=yes
      lab_up >/dev/null
      # shellcheck disable=SC1091
      source "$directory/env"
      local status=0
      "${lab_program[@]}" || status=$?
      exit "$status"
      ;;
    kill) lab_require_up; lab_end_all ;;
    start) lab_require_up; lab_start_all ;;
    -h | --help) usage ;;
    *) usage >&2; fail 2 "unknown command: $lab_command" ;;
  esac
}
lab_is_run=no

lab_require_up() { [[ -f $directory/env ]] || fail 1 "nothing in $directory: scripts/lab $lab_name up"; }

# lab_servers - the names of the lab's servers: those with a configuration.
lab_servers() {
  local configuration
  for configuration in "$directory"/*.conf; do basename "$configuration" .conf; done
}

lab_up() {
  if [[ -f $directory/env ]] && lab_runs_all; then
    say "$lab_name is up already in $directory"
    cat "$directory/env"
    return
  fi
  lab_down
  mkdir -p "$directory/data"
  chmod 755 "$directory"
  # Until it is up, and for as long as a program runs in it, an end of this script is the end of what it started.
  trap lab_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  "${lab_name}_make"
  lab_make_small
  lab_start_all
  "${lab_name}_environment" >"$directory/env.new"
  [[ ! -d $directory/small ]] || printf 'export CAIRN_%s_SMALL=%s\n' "${lab_name^^}" "$directory/small" >>"$directory/env.new"
  mv "$directory/env.new" "$directory/env"
  cat "$directory/env"
}

# lab_make_small - a file system of 40 MiB, where this user may mount one: disks that fill up.
lab_make_small() {
  mkdir "$directory/small"
  if ! mount -t tmpfs -o size=40m,mode=755 cairn-lab "$directory/small" 2>/dev/null; then
    rmdir "$directory/small"
    say "no file system can be mounted here: nothing is tried with a full disk"
  fi
}

lab_runs_all() {
  local name
  for name in $(lab_servers); do remembered_process "$directory/$name.pid" >/dev/null || return 1; done
}

lab_start_all() {
  local name port waited
  for name in $(lab_servers); do
    ! remembered_process "$directory/$name.pid" >/dev/null || continue
    lab_start "$name"
    port=$(<"$directory/$name.port")
    waited=0
    until listened "$port"; do
      sleep 0.05
      waited=$((waited + 1))
      if ((waited > 200)) || ! remembered_process "$directory/$name.pid" >/dev/null; then
        tail -n 20 "$directory/$name.log" >&2
        fail 1 "$name did not come up"
      fi
    done
  done
}

# lab_end_all - SIGKILL to the servers and their sessions.
lab_end_all() {
  local record family
  for record in "$directory"/*.pid; do
    [[ -f $record ]] || continue
    # The sessions' numbers before their parent is gone, which is what tells them from others.
    if family=$(remembered_process "$record"); then family=$(lab_descendants "$family"); fi
    end_process "$record" 0 || say "could not end the process of $record"
    # shellcheck disable=SC2086  # numbers
    [[ -z $family ]] || kill -KILL $family 2>/dev/null || true
  done
}

# lab_descendants PID - its children and theirs.
lab_descendants() {
  local child
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    printf '%s ' "$child"
    lab_descendants "$child"
  done
}

lab_down() {
  [[ -d $directory ]] || return 0
  lab_end_all
  ! mountpoint -q "$directory/small" 2>/dev/null || umount -l "$directory/small" || say "could not unmount $directory/small"
  rm -rf "$directory"
}

lab_status() {
  local name
  [[ -f $directory/env ]] || { say "no $lab_name in $directory"; return 1; }
  cat "$directory/env"
  for name in $(lab_servers); do printf '%s %s\n' "$name" "$(remembered_process "$directory/$name.pid" || echo "not running")"; done
}

# lab_start NAME - start a server in a session of its own.
lab_start() {
  (
    lab_close_inherited
    "${lab_name}_become" "$1"
  ) >>"$directory/$1.log" 2>&1 </dev/null &
  local started=$!
  disown "$started"
  remember_process "$directory/$1.pid" "$started" || { tail -n 20 "$directory/$1.log" >&2; fail 1 "$1 ended at once"; }
}

# lab_close_inherited - close what the caller had open: who waits for its pipes to close is not to wait for a server
# that outlives the call.
lab_close_inherited() {
  local entry
  for entry in "/proc/$BASHPID/fd"/*; do
    entry=${entry##*/}
    ((entry <= 2)) || eval "exec $entry>&-"
  done
}

# lab_free_port FROM - the first port from FROM on that nothing listens on.
lab_free_port() {
  local port=$1
  while listened "$port"; do port=$((port + 1)); done
  printf '%s' "$port"
}

# lab_secret - 24 random letters and digits.
lab_secret() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 24 || true; }
