#!/usr/bin/env bash
# Plays the zkCli.sh suite on two servers and compares: run.sh EXPECTED_HOST:PORT ACTUAL_HOST:PORT
# Both must be empty. The last line counts the commands.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=$here/../../compat-tests/clients/zkcli
zkcli=$here/../../compat-tests/provision/zkcli.sh
[ $# = 2 ] || { echo 'usage: run.sh EXPECTED_HOST:PORT ACTUAL_HOST:PORT' >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ZK_LOG_LEVEL=OFF

# play NAME SERVER: the transcript, with the server's own name masked.
play() {
    python3 "$suite/play.py" "$zkcli" "$2" "$work/commands" "$work/$1" || { echo "the commands did not come through on $2"; return 1; }
    sed -Ei "s|\b${2%:*}(/[0-9.]+)?:${2##*:}|<server>|g" "$work/$1"
}
# The suite takes itself for a client on the same machine.
sed "s/127\.0\.0\.1:cdrwa/$(hostname -i):cdrwa/" "$suite/commands.txt" >"$work/commands"
play expected "$1" &
reference=$!
play actual "$2"
wait "$reference" || exit 1
python3 "$suite/compare.py" "$work/expected" "$work/actual"
