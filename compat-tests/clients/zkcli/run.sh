#!/usr/bin/env bash
# zkCli, every command with its options and errors: the same commands are played on Apache ZooKeeper, started beside,
# and on the server under test, both empty at first; what zkCli prints must be the same, zxids included.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
suite=$clients/zkcli
export ZK_LOG_LEVEL=OFF
# Of an ensemble, always the same member: what one zkCli has done another is to see at once.
server=${ZK_CONNECT%%,*}

"$clients/with-server.sh" "$provision/zookeeper-server.sh" \
    sh -c "exec python3 '$suite/play.py' '$provision/zkcli.sh' \"\${ZK_CONNECT%%,*}\" '$suite/commands.txt' '$work/expected'" &
reference=$!
python3 "$suite/play.py" "$provision/zkcli.sh" "$server" "$suite/commands.txt" "$work/actual"
played=$?
wait "$reference" || { echo "the commands did not come through on Apache ZooKeeper"; exit 1; }
[ -z "${TRANSCRIPT_DIR:-}" ] || cp "$work/expected" "$work/actual" "$TRANSCRIPT_DIR"
[ $played = 0 ] || echo "the commands did not come through on the server under test"
python3 "$suite/compare.py" "$work/expected" "$work/actual"
