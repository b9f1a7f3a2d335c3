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
  sftp_password
  cat >"$directory/sshd.conf" <<CONF
ListenAddress 127.0.0.1
Port $port
HostKey $directory/host
AuthorizedKeysFile $directory/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication $([[ -f $directory/password ]] && echo yes || echo no)
KbdInteractiveAuthentication no
AllowUsers $(id -un)
Subsystem sftp internal-sftp
ForceCommand internal-sftp
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
CONF
}

# sftp_password - a password for this user that holds for this server alone: it sees another /etc/shadow than everybody else. Where mounts are not to be
# had, there is none.
sftp_password() {
  if ((EUID != 0)) || ! unshare --mount mount --bind /etc/shadow /etc/shadow 2>/dev/null; then
    say "no password can be had here: keys alone are tried"
    return
  fi
  lab_secret >"$directory/password"
  chmod 600 "$directory/password"
  (umask 077; printf '%s:%s:19000:0:99999:7:::\n' "$(id -un)" "$(openssl passwd -6 -stdin <"$directory/password")" >"$directory/shadow")
}

# sftp_become NAME - becomes the server.
sftp_become() {
  [[ -f $directory/shadow ]] || exec setsid "$(sftp_program)" -D -e -f "$directory/$1.conf"
  # shellcheck disable=SC2016  # for the shell inside
  exec setsid unshare --mount sh -c 'mount --bind "$1" /etc/shadow && exec "$2" -D -e -f "$3"' sh "$directory/shadow" "$(sftp_program)" "$directory/$1.conf"
}

sftp_environment() {
  printf 'export CAIRN_SFTP=127.0.0.1:%s\nexport CAIRN_SFTP_USER=%s\nexport CAIRN_SFTP_DIR=%s\n' \
    "$(<"$directory/sshd.port")" "$(id -un)" "$directory"
  [[ ! -f $directory/password ]] || printf 'export CAIRN_SFTP_PASSWORD=%s\n' "$directory/password"
}
