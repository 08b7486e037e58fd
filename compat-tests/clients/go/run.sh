#!/usr/bin/env bash
# go-zookeeper: a program of ours against the server under test, then the client's own tests, which run servers of their
# own with the command in SERVER_COMMAND through fake-zookeeper/zkServer.sh.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
: "${SERVER_COMMAND:?set SERVER_COMMAND to the command that runs a server, or use with-server.sh}"
suite=$clients/go
export GOFLAGS="-modcacherw -buildvcs=false" GOMODCACHE=$cache/go
version=$(awk '/go-zookeeper\/zk/ { print $NF }' "$suite/go.mod")
upstream=$cache/go-zookeeper/$version
[ -d "$upstream" ] || { echo "no go-zookeeper: run provision.sh go"; exit 1; }

# count FILE: takes over the last line of a part that counts for itself, and prints the rest.
count() {
    local line
    line=$(tail -n 1 "$1")
    sed '$d' "$1"
    passed=$((passed + ${line%% passed*}))
    line=${line#* passed, }
    failed=$((failed + ${line%% failed*}))
}

(cd "$suite" && go build -o "$work/program" .) || exit 1
# program COMMAND...: one of our programs, and its checks.
program() {
    "$@" >"$work/out" 2>"$work/err"
    if tail -n 1 "$work/out" | grep -Eq '^[0-9]+ passed, [0-9]+ failed$'; then
        count "$work/out"
    else
        cat "$work/out" "$work/err"
        bad "our program" "it ended early"
    fi
}
program "$work/program"
if [ "${SERVER_MEMBERS:-1}" != 1 ]; then
    SERVER_EXTRA_CONFIG=reconfigEnabled=true program "$clients/with-server.sh" "$SERVER_COMMAND" "$work/program" reconfig
fi

# go-zookeeper cannot read what `srvr` of ZooKeeper 3.9 says (the form of its date), and its tests wait for just that at
# their start. The wait looks for the line of the mode here; client and tests are as they come.
cp -r "$upstream" "$work/source"
sed -i 's/_, ok := FLWSrvr(serverAddrs, time.Second)/reply, _ := fourLetterWord(serverAddrs[0], "srvr", time.Second)\
		ok := strings.Contains(string(reply), "Mode: ")/' "$work/source/server_help_test.go"
(cd "$work/source" && go test -c -o "$work/upstream" .) || exit 1
# The version of the servers, below which some tests skip themselves.
export ZOOKEEPER_BIN_PATH=$suite/fake-zookeeper ZK_VERSION=3.9.5
names=$("$work/upstream" -test.list '^Test') || exit 1
while read -r name reason; do
    case $name in '' | '#') continue ;; esac
    # They start an ensemble by themselves, and are run where the suite has one.
    [ "${SERVER_MEMBERS:-1}" = 1 ] || [ "$reason" != 'needs three servers' ] || continue
    names=$(grep -vx "$name" <<<"$names")
    echo "skip $name: $reason"
done <"$suite/skipped.txt"
(cd "$work/source" && timeout -k 5 300 "$work/upstream" -test.v -test.run "^($(paste -sd'|' <<<"$names"))\$") >"$work/out" 2>&1
for name in $names; do
    if grep -Eq -- "^ *--- PASS: $name " "$work/out"; then
        ok "upstream $name"
    # Some of these stop a server and do not expect that what is on its way then is lost, which it may be: once more.
    elif (cd "$work/source" && timeout -k 5 60 "$work/upstream" -test.v -test.run "^$name\$") >"$work/again" 2>&1 &&
        grep -Eq -- "^ *--- PASS: $name " "$work/again"; then
        echo "upstream $name: failed at first"
        ok "upstream $name"
    else
        bad "upstream $name" "$(sed -n "/^=== RUN   $name\$/,/^--- /p" "$work/out" | tail -n 20)"
    fi
done
summary
