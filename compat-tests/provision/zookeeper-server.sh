#!/usr/bin/env bash
# Runs Apache ZooKeeper's server (the version that maven/pom.xml names) in the foreground: zookeeper-server.sh ZOO_CFG
# The process becomes the JVM itself, so that signals sent to it reach the server.
#   SERVER_JVMFLAGS, JVMFLAGS  further options for the JVM, as ZooKeeper's own scripts take them
#   ZK_SERVER_HEAP             heap in MB (default 1000, that of ZooKeeper's own scripts)
#   ZK_LOG_LEVEL               level of the log on standard error (default WARN)
#   ZK_JARS                    which jars: zookeeper (the default), or zookeeper-older, of the line before
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 1 ] || { echo "usage: zookeeper-server.sh ZOO_CFG" >&2; exit 2; }
jars=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}/jars/${ZK_JARS:-zookeeper}
[ -d "$jars" ] || { echo "no ZooKeeper at $jars: run $here/provision.sh ${ZK_JARS:-zookeeper}" >&2; exit 2; }
# shellcheck disable=SC2086 # the flags are several words on purpose
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" "-Dlogback.configurationFile=$here/logback.xml" \
    "-Drookeeper.log.level=${ZK_LOG_LEVEL:-WARN}" -Dzookeeper.jmx.log4j.disable=true \
    ${SERVER_JVMFLAGS:-} ${JVMFLAGS:-} -cp "$jars/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$1"
