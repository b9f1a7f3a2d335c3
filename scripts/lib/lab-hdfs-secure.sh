# shellcheck shell=bash
# What makes an HDFS of the lab a secured one: a KDC of its own (MIT Kerberos), keytabs, and TLS with an authority of
# its own. The servers then take nobody's word for who they are, and speak https alone. Needs lab-hdfs.sh.

secure_realm=CAIRN.LAB

secure_missing_parts() {
  local part
  for part in krb5kdc kdb5_util kadmin.local openssl keytool kinit; do
    secure_program "$part" >/dev/null || printf '%s\n' "$part"
  done
}

secure_program() {
  command -v "$1" || { [[ -x /usr/sbin/$1 ]] && printf '/usr/sbin/%s' "$1"; }
}

secure_make() {
  local missing
  missing=$(secure_missing_parts)
  [[ -z $missing ]] || fail 4 "missing: ${missing//$'\n'/, }; run scripts/setup --hdfs --stores"
  mkdir -p "$directory/secure"
  secure_certificates >"$directory/secure/certificates.log" 2>&1 || { tail -n 5 "$directory/secure/certificates.log" >&2; fail 1 "no certificates"; }
  secure_kerberos >"$directory/secure/kdc-setup.log" 2>&1 || { tail -n 5 "$directory/secure/kdc-setup.log" >&2; fail 1 "no Kerberos"; }
  secure_start_kdc
}

secure_certificates() {
  local folder=$directory/secure name
  for name in ca other-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=cairn lab $name" -keyout "$folder/$name.key" -out "$folder/$name.pem" || return 1
  done
  openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$folder/server.key" -out "$folder/server.csr" || return 1
  openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 30 -out "$folder/server.pem" \
    -extfile <(printf 'subjectAltName=IP:%s,DNS:localhost\n' "$address") || return 1
  openssl pkcs12 -export -in "$folder/server.pem" -inkey "$folder/server.key" -certfile "$folder/ca.pem" -name server -passout pass:cairn-lab \
    -out "$folder/server.p12" || return 1
  keytool -importkeystore -noprompt -srckeystore "$folder/server.p12" -srcstoretype PKCS12 -srcstorepass cairn-lab \
    -destkeystore "$folder/server.jks" -deststoretype JKS -deststorepass cairn-lab -destkeypass cairn-lab || return 1
  keytool -importcert -noprompt -alias ca -file "$folder/ca.pem" -keystore "$folder/trust.jks" -storetype JKS -storepass cairn-lab || return 1
}

# secure_kerberos - a realm with the servers' principals and one of a user.
secure_kerberos() {
  local folder=$directory/secure port name
  port=$(hdfs_free_port 19840)
  printf '%s' "$port" >"$folder/kdc.port"
  cat >"$folder/krb5.conf" <<CONF
[libdefaults]
  default_realm = $secure_realm
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  $secure_realm = {
    kdc = 127.0.0.1:$port
  }
CONF
  cat >"$folder/kdc.conf" <<CONF
[kdcdefaults]
  kdc_listen = ""
  kdc_tcp_listen = 127.0.0.1:$port
[realms]
  $secure_realm = {
    database_name = $folder/principal
    key_stash_file = $folder/stash
    acl_file = $folder/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
  }
[logging]
  kdc = FILE:$folder/kdc.log
CONF
  export KRB5_CONFIG=$folder/krb5.conf KRB5_KDC_PROFILE=$folder/kdc.conf
  "$(secure_program kdb5_util)" create -s -r "$secure_realm" -P "$RANDOM$RANDOM$RANDOM" || return 1
  for name in nn/localhost dn/localhost HTTP/localhost cairn; do
    "$(secure_program kadmin.local)" -r "$secure_realm" -q "addprinc -randkey $name" || return 1
  done
  "$(secure_program kadmin.local)" -r "$secure_realm" -q "ktadd -k $folder/servers.keytab nn/localhost dn/localhost HTTP/localhost" || return 1
  "$(secure_program kadmin.local)" -r "$secure_realm" -q "ktadd -k $folder/cairn.keytab cairn" || return 1
  chmod 600 "$folder"/*.keytab
}

secure_start_kdc() {
  local port waited=0
  (
    hdfs_close_inherited
    export KRB5_CONFIG=$directory/secure/krb5.conf KRB5_KDC_PROFILE=$directory/secure/kdc.conf
    exec setsid "$(secure_program krb5kdc)" -n -r "$secure_realm"
  ) >>"$directory/secure/kdc.out" 2>&1 </dev/null &
  remember_process "$directory/kdc.pid" "$!" || fail 1 "the KDC ended at once: $directory/secure/kdc.out"
  disown "$!"
  port=$(<"$directory/secure/kdc.port")
  until listened "$port"; do
    sleep 0.1
    waited=$((waited + 1))
    ((waited < 100)) || fail 1 "the KDC did not come up: $directory/secure/kdc.out"
  done
}

# secure_core_properties, secure_hdfs_properties - what the servers' configurations say besides.
secure_core_properties() {
  hdfs_property hadoop.security.authentication kerberos
  hdfs_property hadoop.security.authorization false
  hdfs_property hadoop.rpc.protection authentication
  hdfs_property hadoop.ssl.enabled.protocols TLSv1.2
}

secure_hdfs_properties() {
  local keytab=$directory/secure/servers.keytab
  hdfs_property dfs.http.policy HTTPS_ONLY
  hdfs_property dfs.block.access.token.enable true
  hdfs_property ignore.secure.ports.for.testing true
  hdfs_property dfs.namenode.kerberos.principal "nn/localhost@$secure_realm"
  hdfs_property dfs.namenode.kerberos.principal.pattern '*'
  hdfs_property dfs.namenode.keytab.file "$keytab"
  hdfs_property dfs.datanode.kerberos.principal "dn/localhost@$secure_realm"
  hdfs_property dfs.datanode.keytab.file "$keytab"
  hdfs_property dfs.web.authentication.kerberos.principal "HTTP/localhost@$secure_realm"
  hdfs_property dfs.web.authentication.kerberos.keytab "$keytab"
}

# secure_tls FOLDER - the servers' TLS configuration.
secure_tls() {
  local folder=$directory/secure side
  for side in server client; do
    {
      echo '<configuration>'
      hdfs_property "ssl.$side.truststore.location" "$folder/trust.jks"
      hdfs_property "ssl.$side.truststore.password" cairn-lab
      hdfs_property "ssl.$side.keystore.location" "$folder/server.jks"
      hdfs_property "ssl.$side.keystore.password" cairn-lab
      hdfs_property "ssl.$side.keystore.keypassword" cairn-lab
      echo '</configuration>'
    } >"$1/ssl-$side.xml"
  done
}

secure_java_options() {
  printf '%s\n' "-Djava.security.krb5.conf=$directory/secure/krb5.conf" -Dsun.security.krb5.disableReferrals=true \
    --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED --add-exports=java.security.jgss/sun.security.jgss=ALL-UNNAMED \
    --add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED
}

secure_environment() {
  printf 'export CAIRN_SECURE_HDFS=https://localhost:%s\nexport CAIRN_SECURE_HDFS_DIR=%s\nexport KRB5_CONFIG=%s\n' \
    "$(<"$directory/port")" "$directory" "$directory/secure/krb5.conf"
}
