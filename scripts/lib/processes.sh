# shellcheck shell=bash
# Processes remembered across invocations. A record holds the process id and
# the time that process started, because an id alone may have passed to a
# stranger: only a process that matches both is ours to end.

# start_time PID - ticks since boot at which PID started; fails when there is
# no such process, or only its zombie is left.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The command name is in parentheses and may hold anything; count after it.
  stat=${stat##*) }
  local -a fields
  read -ra fields <<<"$stat"
  [[ ${fields[0]} != [ZX] ]] || return 1
  printf '%s\n' "${fields[19]}"
}

# remember_process RECORD PID - write the record that owns PID.
remember_process() {
  local started
  started=$(start_time "$2") || return 1
  printf '%s %s\n' "$2" "$started" >"$1.new"
  mv -f "$1.new" "$1"
}

# remembered_process RECORD - print the id in RECORD when that very process
# still runs; fails otherwise.
remembered_process() {
  local process_id started
  [[ -f $1 ]] || return 1
  read -r process_id started <"$1" || return 1
  [[ $(start_time "$process_id") == "$started" ]] || return 1
  printf '%s\n' "$process_id"
}

# end_process RECORD [SECONDS] - ask the process in RECORD to end, insist with
# SIGKILL after SECONDS (0: at once), return when it is gone; drop the record.
end_process() {
  local record=$1 patience=${2:-0} process_id signal=TERM waited=0
  (( patience > 0 )) || signal=KILL
  if process_id=$(remembered_process "$record"); then
    kill "-$signal" "$process_id" 2>/dev/null || true
    while remembered_process "$record" >/dev/null; do
      sleep 0.05
      waited=$((waited + 1))
      (( waited != patience * 20 )) || kill -KILL "$process_id" 2>/dev/null || true
      (( waited < patience * 20 + 200 )) || return 1
    done
  fi
  rm -f "$record"
}

# listened PORT - true when something accepts connections on loopback's PORT.
listened() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
