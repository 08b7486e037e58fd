#!/bin/sh
# Records what Apache ZooKeeper makes of the cases, into expected.txt.
# Usage: record.sh [folder with the jars of Apache ZooKeeper 3.9.5]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
jars=${1:-${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}/jars/zookeeper}
# Relative paths in the cases are meant from here, where cargo runs the tests of the server.
cd "$here/../../../server"
LC_ALL=C.UTF-8 java -Dfile.encoding=UTF-8 "$here/ConfigDump.java" "$jars" ../compat-tests/java/config/cases \
    >"$here/expected.txt" 2>/dev/null
echo "$(grep -c '^== ' "$here/expected.txt") cases in $here/expected.txt"
