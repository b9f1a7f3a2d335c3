# shellcheck shell=bash
# What an HDFS on this machine is made of, and where the parts lie. Shared by
# scripts/setup, which fetches them, and scripts/lab, which runs them.
#
# Debian has no Hadoop. The server classes of Hadoop 2.7.3 come with the source
# archive of pyspark 2.4.8 (later ones carry the client alone); Debian has the
# rest. A Hadoop distribution under HADOOP_HOME serves as well.

hdfs_archive_name=pyspark
hdfs_archive_version=2.4.8
hdfs_archive_sha256=3a19b71b8dc8dd91ebc943604a05e1ab01bce052456d42937035632d852d78dc

# Debian packages that an HDFS needs besides the jars.
hdfs_packages=(
  default-jre-headless libjersey1-core-java libjersey1-server-java
  libjersey1-servlet-java libjersey1-json-java libjsr311-api-java
  libjaxb-api-java libjaxb-java libjettison-java util-linux curl
)

# Jars taken out of the archive.
hdfs_archive_jars=(
  activation-1.1.1.jar commons-cli-1.2.jar commons-codec-1.10.jar
  commons-collections-3.2.2.jar commons-configuration-1.6.jar
  commons-io-2.4.jar commons-lang-2.6.jar commons-logging-1.1.3.jar
  guava-14.0.1.jar hadoop-annotations-2.7.3.jar hadoop-auth-2.7.3.jar
  hadoop-common-2.7.3.jar hadoop-hdfs-2.7.3.jar
  htrace-core-3.1.0-incubating.jar httpclient-4.5.6.jar httpcore-4.4.10.jar
  jackson-core-asl-1.9.13.jar jackson-mapper-asl-1.9.13.jar
  javax.servlet-api-3.1.0.jar jetty-6.1.26.jar jetty-util-6.1.26.jar
  log4j-1.2.17.jar netty-all-4.1.47.Final.jar protobuf-java-2.5.0.jar
  slf4j-api-1.7.16.jar slf4j-log4j12-1.7.16.jar xercesImpl-2.9.1.jar
)

# Jars that Debian's packages put under /usr/share/java.
hdfs_debian_jars=(
  jersey1-core.jar jersey1-server.jar jersey1-servlet.jar jersey1-json.jar
  jsr311-api.jar jaxb-api.jar jaxb-runtime.jar jettison.jar
)

# hdfs_cache - the folder of the fetched jars; it exists only when whole.
hdfs_cache() { printf '%s/hdfs\n' "${CAIRN_CACHE:-$HOME/.cache/cairn}"; }

# hadoop_home_serves - true when HADOOP_HOME names a distribution with the
# server's jars.
hadoop_home_serves() {
  [[ -n ${HADOOP_HOME:-} ]] || return 1
  local share=$HADOOP_HOME/share/hadoop
  compgen -G "$share/hdfs/hadoop-hdfs-[0-9]*.jar" >/dev/null &&
    compgen -G "$share/common/hadoop-common-[0-9]*.jar" >/dev/null
}

# hdfs_cache_is_whole - true when every jar of the archive is in the cache.
hdfs_cache_is_whole() {
  local cache jar
  cache=$(hdfs_cache)
  [[ -d $cache/web/webapps/hdfs && -d $cache/web/webapps/datanode ]] || return 1
  for jar in "${hdfs_archive_jars[@]}"; do
    [[ -s $cache/jars/$jar ]] || return 1
  done
}

# hdfs_parts_folder - the folder that holds the jars in use.
hdfs_parts_folder() {
  if hadoop_home_serves; then printf '%s\n' "$HADOOP_HOME"; else hdfs_cache; fi
}

# hdfs_missing_parts - one line for each part that is not there.
hdfs_missing_parts() {
  local jar
  hdfs_java >/dev/null || printf 'java\n'
  ! hadoop_home_serves || return 0
  hdfs_cache_is_whole || printf 'the Hadoop jars in %s\n' "$(hdfs_cache)"
  for jar in "${hdfs_debian_jars[@]}"; do
    [[ -e /usr/share/java/$jar ]] || printf '/usr/share/java/%s\n' "$jar"
  done
}

# hdfs_java - the java to run; fails when there is none.
hdfs_java() {
  if [[ -n ${JAVA_HOME:-} && -x $JAVA_HOME/bin/java ]]; then
    printf '%s/bin/java\n' "$JAVA_HOME"
  else
    command -v java
  fi
}

# hdfs_class_path - the class path of a server, without its configuration.
hdfs_class_path() {
  if hadoop_home_serves; then
    local share=$HADOOP_HOME/share/hadoop
    printf '%s' "$share/hdfs:$share/common/*:$share/common/lib/*:$share/hdfs/*:$share/hdfs/lib/*"
    return
  fi
  local cache jar
  cache=$(hdfs_cache)
  # The servers look for (here: empty) web pages as webapps/NAME.
  printf '%s' "$cache/web:$cache/jars/*"
  for jar in "${hdfs_debian_jars[@]}"; do printf ':/usr/share/java/%s' "$jar"; done
}
