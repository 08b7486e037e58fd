#!/usr/bin/env bash
# Runs the client suites against one server command, each on a server of its own with empty data:
#
#   run-all.sh 'SERVER COMMAND' [SUITE...]
#   SERVER_MEMBERS=3 run-all.sh ...           each on an ensemble of three members
#
# Suites, all of them if none is named: zkcli java curator c go kazoo kafka dubbo
# Prints the failures, one line for each suite, and the sum. Everything printed is kept in $COMPAT_LOGS (default: a new
# folder under /tmp), one file for each suite. Exit code 0 when every suite has passed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: run-all.sh 'SERVER COMMAND' [SUITE...]" >&2; exit 2; }
server=$1
shift
[ $# -gt 0 ] || set -- zkcli java curator c go kazoo kafka dubbo
for suite in "$@"; do
    [ -x "$here/$suite/run.sh" ] || { echo "no suite '$suite'" >&2; exit 2; }
done
logs=${COMPAT_LOGS:-$(mktemp -d "${TMPDIR:-/tmp}/compat-logs.XXXXXX")}
mkdir -p "$logs"

all_passed=0 all_failed=0 broken=0
for suite in "$@"; do
    log=$logs/$suite start=$SECONDS
    "$here/with-server.sh" "$server" "$here/$suite/run.sh" >"$log" 2>&1
    code=$?
    count=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
    [ -n "$count" ] || { count='0 passed, 1 failed'; tail -n 20 "$log"; }
    grep -A 12 '^FAIL' "$log" | grep -v '^ok ' | cut -c1-300
    printf '%-7s %s, %d s\n' "$suite" "$count" $((SECONDS - start))
    all_passed=$((all_passed + ${count%% *}))
    count=${count#* passed, }
    all_failed=$((all_failed + ${count%% *}))
    [ $code = 0 ] || broken=$((broken + 1))
done
printf '%d passed, %d failed; logs in %s\n' $all_passed $all_failed "$logs"
[ $broken = 0 ] && [ $all_failed = 0 ]
