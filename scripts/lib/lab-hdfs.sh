# shellcheck shell=bash
# An HDFS on this machine: NameNode and DataNodes as Java processes, each remembered by process id and
# start time. Needs terminal.sh, processes.sh and hdfs-parts.sh.

hdfs_main() {
  (($#)) || { usage >&2; exit 2; }
  local command=$1
  shift
  directory=/tmp/cairn-hdfs-$UID
  datanodes=3
  port_base=19870
  address=127.0.0.1
  hdfs_runs=no
  hdfs_is_secure=no
  disk_size=
  local -a words=() program_words=()
  while (($#)); do
    case $1 in
      --dir) directory=${2:?--dir takes a directory}; shift ;;
      --datanodes) datanodes=${2:-}; shift ;;
      --port-base) port_base=${2:-}; shift ;;
      --secure) hdfs_is_secure=yes ;;
      --disk-size) disk_size=${2:-}; shift ;;
      --address) address=${2:-}; shift ;;
      --) shift; program_words=("$@"); break ;;
      -h | --help) usage; exit 0 ;;
      -*) usage >&2; fail 2 "unknown option: $1" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  if ! whole_number "$datanodes" || ((datanodes < 1 || datanodes > 9)); then fail 2 "--datanodes is 1 to 9"; fi
  whole_number "$port_base" || fail 2 "--port-base is a number"
  [[ -z $disk_size || $disk_size =~ ^[0-9]+[kmg]$ ]] || fail 2 "--disk-size is a number and k, m or g"
  [[ $address =~ ^127(\.[0-9]{1,3}){3}$ ]] || fail 2 "--address is one of loopback's, 127.x.x.x"
  [[ $directory == /* ]] || directory=$PWD/$directory
  [[ ! -d $directory/secure ]] || hdfs_is_secure=yes
  case $command in
    up) hdfs_up ;;
    down) hdfs_down ;;
    status) hdfs_status ;;
    run)
      ((${#program_words[@]})) || fail 2 "run wants -- and a program"
      hdfs_runs=yes
      trap hdfs_down EXIT
      trap 'exit 130' INT
      trap 'exit 143' TERM HUP
      hdfs_up
      # shellcheck disable=SC1091
      source "$directory/env"
      local status=0
      "${program_words[@]}" || status=$?
      exit "$status"
      ;;
    kill-datanode) hdfs_require_up; end_process "$directory/dn$(hdfs_which "${words[@]}").pid" 0 ;;
    start-datanode) hdfs_require_up; hdfs_start_datanode "$(hdfs_which "${words[@]}")" ;;
    stop-namenode) hdfs_require_up; end_process "$directory/nn.pid" 10 ;;
    start-namenode) hdfs_require_up; hdfs_start nn NameNode; hdfs_wait 30 hdfs_is_ready 1 ;;
    admin)
      hdfs_require_up
      ((${#program_words[@]})) || fail 2 "admin wants -- and words for dfsadmin"
      hdfs_java_run nn org.apache.hadoop.hdfs.tools.DFSAdmin "${program_words[@]}"
      ;;
    -h | --help) usage ;;
    *) usage >&2; fail 2 "unknown command: $command" ;;
  esac
}

hdfs_require_up() { [[ -f $directory/env ]] || fail 1 "no HDFS in $directory: scripts/lab hdfs up"; }

hdfs_which() {
  whole_number "${1:-}" || fail 2 "which DataNode?"
  [[ -d $directory/conf-dn$1 ]] || fail 2 "there is no DataNode $1"
  printf '%s' "$1"
}

hdfs_up() {
  if [[ -f $directory/env ]] && remembered_process "$directory/nn.pid" >/dev/null; then
    say "HDFS is up already in $directory"
    cat "$directory/env"
    return
  fi
  local missing
  missing=$(hdfs_missing_parts)
  [[ -z $missing ]] || fail 4 "missing: ${missing//$'\n'/, }; run scripts/setup --hdfs"
  hdfs_down
  mkdir -p "$directory/tmp"
  # Until it is up, an end of this script is the end of what it started.
  hdfs_came_up=no
  [[ -n $(trap -p EXIT) ]] || trap '[[ $hdfs_came_up == yes ]] || hdfs_down' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  [[ $hdfs_is_secure == no ]] || secure_make
  hdfs_configure
  if ! (hdfs_java_run nn org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive) >"$directory/format.log" 2>&1; then
    tail -n 20 "$directory/format.log" >&2
    fail 1 "the NameNode could not be formatted"
  fi
  hdfs_start nn NameNode
  local k
  for ((k = 1; k <= datanodes; k++)); do hdfs_start_datanode "$k"; done
  if ! hdfs_wait 90 hdfs_is_ready "$datanodes"; then
    tail -n 15 "$directory"/*.log >&2
    fail 1 "HDFS did not come up within 90 s"
  fi
  if [[ $hdfs_is_secure == yes ]]; then
    secure_environment >"$directory/env.new"
  else
    hdfs_write_hadoop
    printf 'export CAIRN_HDFS=http://%s:%s\nexport CAIRN_HDFS_DIR=%s\nexport CAIRN_HADOOP=%s\n' \
      "$address" "$(<"$directory/port")" "$directory" "$directory/hadoop" >"$directory/env.new"
  fi
  mv "$directory/env.new" "$directory/env"
  hdfs_came_up=yes
  [[ $hdfs_runs == yes ]] || trap - INT TERM HUP
  cat "$directory/env"
}

hdfs_down() {
  [[ -d $directory ]] || return 0
  local record
  for record in "$directory"/dn*.pid "$directory"/nn.pid "$directory"/kdc.pid; do
    [[ ! -f $record ]] || end_process "$record" 0 || say "could not end the process of $record"
  done
  local disk
  for disk in "$directory"/data-dn*; do
    ! mountpoint -q "$disk" || umount -l "$disk" || say "could not unmount $disk"
  done
  rm -rf "$directory"
}

hdfs_status() {
  local record name
  [[ -f $directory/env ]] || { say "no HDFS in $directory"; return 1; }
  cat "$directory/env"
  for record in "$directory"/nn.pid "$directory"/dn*.pid; do
    name=$(basename "$record" .pid)
    printf '%s %s\n' "$name" "$(remembered_process "$record" || echo "not running")"
  done
}

# hdfs_start NAME CLASS - start a server in a session of its own.
hdfs_start() {
  local package=namenode
  [[ $2 == NameNode ]] || package=datanode
  (
    hdfs_close_inherited
    hdfs_java_run "$1" "org.apache.hadoop.hdfs.server.$package.$2"
  ) >>"$directory/$1.log" 2>&1 </dev/null &
  local started=$!
  disown "$started"
  remember_process "$directory/$1.pid" "$started" || fail 1 "$1 ended at once: $directory/$1.log"
}

# hdfs_close_inherited - close what the caller had open: who waits for its pipes
# to close is not to wait for a server that outlives the call.
hdfs_close_inherited() {
  local entry
  for entry in "/proc/$BASHPID/fd"/*; do
    entry=${entry##*/}
    ((entry <= 2)) || eval "exec $entry>&-"
  done
}

hdfs_start_datanode() {
  mkdir -p "$directory/data-dn$1"
  if [[ -n $disk_size ]]; then
    mount -t tmpfs -o "size=$disk_size" cairn-lab "$directory/data-dn$1" || fail 1 "--disk-size needs the right to mount"
  fi
  chmod 700 "$directory/data-dn$1"
  hdfs_start "dn$1" DataNode
}

# hdfs_write_hadoop - a program DIR/hadoop that takes the arguments of Hadoop's
# own client: `DIR/hadoop fs -put FILE PATH`.
hdfs_write_hadoop() {
  {
    printf '#!/usr/bin/env bash\nset -euo pipefail\n'
    printf '[[ ${1:-} == fs ]] || { echo "usage: %s fs WORD..." >&2; exit 2; }\nshift\n' "$directory/hadoop"
    printf 'exec %q -Xmx256m -XX:-UsePerfData -cp %q org.apache.hadoop.fs.FsShell "$@"\n' "$(hdfs_java)" "$directory/conf-nn:$(hdfs_class_path)"
  } >"$directory/hadoop"
  chmod +x "$directory/hadoop"
}

# hdfs_java_run NAME CLASS ARGUMENT... - becomes the Java process.
hdfs_java_run() {
  local name=$1 java
  shift
  java=$(hdfs_java)
  local -a opens=()
  local package
  # Hadoop 2.7 reaches into these; later Java forbids it unless told.
  if "$java" --add-opens java.base/java.lang=ALL-UNNAMED -version >/dev/null 2>&1; then
    for package in java.lang java.net java.util java.nio sun.nio.ch; do opens+=(--add-opens "java.base/$package=ALL-UNNAMED"); done
  fi
  if [[ $hdfs_is_secure == yes ]]; then
    local -a secure=()
    mapfile -t secure < <(secure_java_options)
    opens+=("${secure[@]}")
  fi
  exec setsid "$java" -Xmx256m -XX:-UsePerfData -Djava.io.tmpdir="$directory/tmp" "${opens[@]}" -cp "$directory/conf-$name:$(hdfs_class_path)" "$@"
}

# hdfs_free_port FROM - the first port from FROM on that nothing listens on.
hdfs_free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; do port=$((port + 1)); done
  printf '%s' "$port"
}

hdfs_configure() {
  local web=http
  [[ $hdfs_is_secure == no ]] || web=https
  local port rpc k http data ipc
  port=$(hdfs_free_port "$port_base")
  rpc=$(hdfs_free_port $((port + 1)))
  printf '%s' "$port" >"$directory/port"
  printf '%s' "$address" >"$directory/address"
  hdfs_conf nn "$rpc" \
    dfs.namenode.name.dir "file://$directory/data-nn" "dfs.namenode.$web-address" "$address:$port" \
    dfs.namenode.rpc-bind-host "$address" dfs.namenode.datanode.registration.ip-hostname-check false \
    dfs.namenode.heartbeat.recheck-interval 2000 dfs.heartbeat.interval 1 dfs.namenode.safemode.extension 0 \
    dfs.namenode.replication.interval 1 dfs.namenode.fs-limits.min-block-size 1024 dfs.replication 3 \
    dfs.permissions.enabled false dfs.client.block.write.replace-datanode-on-failure.policy NEVER
  local next=$((rpc + 1))
  for ((k = 1; k <= datanodes; k++)); do
    data=$(hdfs_free_port "$next")
    http=$(hdfs_free_port $((data + 1)))
    ipc=$(hdfs_free_port $((http + 1)))
    next=$((ipc + 1))
    hdfs_conf "dn$k" "$rpc" \
      dfs.datanode.data.dir "file://$directory/data-dn$k" dfs.datanode.address "$address:$data" \
      "dfs.datanode.$web.address" "$address:$http" dfs.datanode.ipc.address "$address:$ipc" dfs.datanode.hostname "$address" \
      dfs.datanode.use.datanode.hostname true \
      dfs.heartbeat.interval 1 dfs.datanode.du.reserved 0 dfs.client.block.write.replace-datanode-on-failure.policy NEVER
  done
}

# hdfs_conf NAME RPC-PORT KEY VALUE ... - the configuration of one server.
hdfs_conf() {
  local folder=$directory/conf-$1 rpc=$2
  shift 2
  mkdir -p "$folder"
  {
    echo '<configuration>'
    hdfs_property fs.defaultFS "hdfs://$address:$rpc"
    hdfs_property hadoop.tmp.dir "$directory/tmp"
    [[ $hdfs_is_secure == no ]] || secure_core_properties
    echo '</configuration>'
  } >"$folder/core-site.xml"
  {
    echo '<configuration>'
    hdfs_property dfs.webhdfs.enabled true
    hdfs_property dfs.client.use.datanode.hostname true
    [[ $hdfs_is_secure == no ]] || secure_hdfs_properties
    while (($#)); do
      hdfs_property "$1" "$2"
      shift 2
    done
    echo '</configuration>'
  } >"$folder/hdfs-site.xml"
  [[ $hdfs_is_secure == no ]] || secure_tls "$folder"
  cat >"$folder/log4j.properties" <<'END'
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
END
}

hdfs_property() { printf '<property><name>%s</name><value>%s</value></property>\n' "$1" "$2"; }

# hdfs_is_ready N - at least N live DataNodes, and not in safe mode.
hdfs_is_ready() {
  local jmx live
  local -a ask=(curl -sf --noproxy '*')
  jmx=http://$(<"$directory/address"):$(<"$directory/port")/jmx
  if [[ $hdfs_is_secure == yes ]]; then
    jmx=https://localhost:$(<"$directory/port")/jmx
    ask+=(--cacert "$directory/secure/ca.pem")
  fi
  live=$("${ask[@]}" "$jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState" | sed -nE 's/.*"NumLiveDataNodes" : ([0-9]+).*/\1/p')
  [[ -n $live ]] && ((live >= $1)) || return 1
  "${ask[@]}" "$jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo" | grep -q '"Safemode" : ""'
}

# hdfs_wait SECONDS COMMAND... - until it succeeds, or a server has ended.
hdfs_wait() {
  local patience=$1 waited=0
  shift
  until "$@"; do
    sleep 0.2
    waited=$((waited + 1))
    ((waited < patience * 5)) || return 1
    remembered_process "$directory/nn.pid" >/dev/null || return 1
  done
}
