#!/usr/bin/env bash
# Runs Apache ZooKeeper's command line client (the version that maven/pom.xml names): zkcli.sh -server HOST:PORT [COMMAND...]
#   CLIENT_JVMFLAGS, JVMFLAGS  further options for the JVM
#   ZK_LOG_LEVEL               level of the log on standard error (default ERROR)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}/jars/zookeeper
[ -d "$jars" ] || { echo "no ZooKeeper at $jars: run $here/provision.sh zookeeper" >&2; exit 2; }
# shellcheck disable=SC2086 # the flags are several words on purpose
exec java -Xmx256m -XX:TieredStopAtLevel=1 "-Dlogback.configurationFile=$here/logback.xml" \
    "-Drookeeper.log.level=${ZK_LOG_LEVEL:-ERROR}" \
    ${CLIENT_JVMFLAGS:-} ${JVMFLAGS:-} -cp "$jars/*" org.apache.zookeeper.ZooKeeperMain "$@"
