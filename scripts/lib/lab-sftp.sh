# shellcheck shell=bash
# An OpenSSH server on this machine, for this user's own keys and SFTP alone.

# shellcheck source=scripts/lib/lab-servers.sh
source "$here/lib/lab-servers.sh"

sftp_main() {
  # shellcheck disable=SC2034  # lab-servers.sh reads it
  port_base=19990
  lab_arguments sftp "$@"
  lab_dispatch
}

sftp_program() {
  local found
  for found in "$(command -v sshd)" /usr/sbin/sshd; do
    [[ $found != /* || ! -x $found ]] || { printf '%s' "$found"; return; }
  done
  return 1
}

sftp_make() {
  local port name
  sftp_program >/dev/null || fail 4 "missing: sshd; run scripts/setup --stores"
  # Where the server, run by root, drops its rights; Debian's service makes it.
  ((EUID != 0)) || mkdir -p /run/sshd
  port=$(lab_free_port "$port_base")
  printf '%s' "$port" >"$directory/sshd.port"
  for name in host key other-key; do ssh-keygen -q -t ed25519 -N '' -C "cairn lab $name" -f "$directory/$name"; done
  cp "$directory/key.pub" "$directory/authorized_keys"
  printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$directory/host.pub")" >"$directory/known_hosts"
  printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$directory/other-key.pub")" >"$directory/other_known_hosts"
  ssh-keygen -l -E sha256 -f "$directory/host.pub" | cut -d' ' -f2 >"$directory/fingerprint"
  cat >"$directory/sshd.conf" <<CONF
ListenAddress 127.0.0.1
Port $port
HostKey $directory/host
AuthorizedKeysFile $directory/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers $(id -un)
Subsystem sftp internal-sftp
ForceCommand internal-sftp
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
CONF
}

# sftp_become NAME - becomes the server.
sftp_become() { exec setsid "$(sftp_program)" -D -e -f "$directory/$1.conf"; }

sftp_environment() {
  printf 'export CAIRN_SFTP=127.0.0.1:%s\nexport CAIRN_SFTP_USER=%s\nexport CAIRN_SFTP_DIR=%s\n' \
    "$(<"$directory/sshd.port")" "$(id -un)" "$directory"
}
