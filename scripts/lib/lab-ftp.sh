# shellcheck shell=bash
# A vsftpd on this machine: one server that speaks plain FTP and AUTH TLS, one that speaks TLS from the first byte.
# Its only user is anonymous, whose password must be one of a list: that needs neither root nor a user of the system.

# shellcheck source=scripts/lib/lab-servers.sh
source "$here/lib/lab-servers.sh"

ftp_main() {
  # shellcheck disable=SC2034  # lab-servers.sh reads it
  port_base=19970
  lab_arguments ftp "$@"
  lab_dispatch
}

ftp_program() {
  local found
  for found in "$(command -v vsftpd)" /usr/sbin/vsftpd; do
    [[ ! -x $found ]] || { printf '%s' "$found"; return; }
  done
  return 1
}

ftp_make() {
  ftp_program >/dev/null || fail 4 "missing: vsftpd; run scripts/setup --stores"
  lab_secret >"$directory/password"
  chmod 600 "$directory/password"
  ftp_certificates >"$directory/certificates.log" 2>&1 || { cat "$directory/certificates.log" >&2; fail 1 "openssl made no certificates"; }
  local port
  port=$(lab_free_port "$port_base")
  ftp_configure ftp "$port" NO
  ftp_configure ftps "$(lab_free_port $((port + 1)))" YES
}

# ftp_certificates - an authority, a certificate of it for 127.0.0.1, 127.0.0.3 and localhost, and another authority.
ftp_certificates() {
  local folder=$directory name
  for name in ca other-ca; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=cairn lab $name" \
      -keyout "$folder/$name.key" -out "$folder/$name.pem" || return 1
  done
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout "$folder/server.key" -out "$folder/server.csr" || return 1
  openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 30 -out "$folder/server.pem" \
    -extfile <(printf 'subjectAltName=IP:127.0.0.1,IP:127.0.0.3,DNS:localhost\n') || return 1
  chmod 600 "$folder"/*.key
}

# ftp_configure NAME PORT IMPLICIT - it takes data at forty ports: who stands before it can listen at the same ones, on another address.
ftp_configure() {
  printf '%s' "$2" >"$directory/$1.port"
  cat >"$directory/$1.conf" <<CONF
listen=YES
listen_address=127.0.0.1
listen_port=$2
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
local_enable=NO
secure_email_list_enable=YES
email_password_file=$directory/password
anon_root=$directory
no_anon_password=NO
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
deny_file=*closed-by-the-server*
anon_umask=022
pasv_enable=YES
pasv_address=127.0.0.1
pasv_min_port=$(($2 + 130))
pasv_max_port=$(($2 + 169))
connect_from_port_20=NO
xferlog_enable=YES
vsftpd_log_file=$directory/$1.transfers.log
log_ftp_protocol=NO
idle_session_timeout=600
data_connection_timeout=60
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=$3
force_anon_data_ssl=$3
implicit_ssl=$3
ssl_tlsv1=YES
require_ssl_reuse=YES
strict_ssl_read_eof=YES
strict_ssl_write_shutdown=NO
rsa_cert_file=$directory/server.pem
rsa_private_key_file=$directory/server.key
CONF
}

# ftp_become NAME - becomes the server.
ftp_become() { exec setsid "$(ftp_program)" "$directory/$1.conf"; }

ftp_environment() {
  printf 'export CAIRN_FTP=127.0.0.1:%s\nexport CAIRN_FTPS=127.0.0.1:%s\nexport CAIRN_FTP_DIR=%s\n' \
    "$(<"$directory/ftp.port")" "$(<"$directory/ftps.port")" "$directory"
}
