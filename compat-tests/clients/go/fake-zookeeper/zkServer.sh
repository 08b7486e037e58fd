#!/usr/bin/env bash
# Stands in for ZooKeeper's own script in go-zookeeper's tests, which run `zkServer.sh start-foreground ZOO_CFG`:
# the command in SERVER_COMMAND gets the configuration. SERVER_JVMFLAGS comes from the tests, and goes on as it is.
set -euo pipefail
: "${SERVER_COMMAND:?}"
echo $$ >>"$COMPAT_PIDS"
exec $SERVER_COMMAND "$2"
