#!/usr/bin/env bash
# Starts a server with empty data on a free port, runs a command beside it, stops the server:
#
#   with-server.sh 'SERVER COMMAND' COMMAND [ARG...]
#   SERVER_MEMBERS=3 with-server.sh ...       an ensemble of so many members instead of one server
#
# The server command is words to which the path of a zoo.cfg is appended, for example 'rookeeper server' or
# '../provision/zookeeper-server.sh'. The command finds in its environment:
#   ZK_CONNECT      127.0.0.1:PORT, of all members by comma
#   SERVER_CTL      a script that takes start|stop|kill9|restart|status, for all members at once
#   SERVER_COMMAND  the server command, for suites that start servers of their own
#   SERVER_DIR      the server's folder: zoo.cfg, log, data; of an ensemble, the folder with member1, member2, ...
# The exit code is the command's. SERVER_EXTRA_CONFIG holds further lines for zoo.cfg.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 2 ] || { echo "usage: with-server.sh 'SERVER COMMAND' COMMAND [ARG...]" >&2; exit 2; }
SERVER_COMMAND=$1
shift
# Suites change their folder: a program named by a relative path is named by its full one.
case ${SERVER_COMMAND%% *} in
    /*) ;;
    */*) SERVER_COMMAND=$PWD/$SERVER_COMMAND ;;
esac

# Below the range from which the kernel gives out client ports, so that none of them is taken by a passing connection.
free_port() {
    local port
    while :; do
        port=$((15000 + RANDOM % 16000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
    done
}

SERVER_DIR=$(mktemp -d "${TMPDIR:-/tmp}/compat-server.XXXXXX")
echo "$SERVER_COMMAND" >"$SERVER_DIR/command"

# configure FOLDER PORT: the zoo.cfg of a server that stands alone, and its data folder.
configure() {
    mkdir -p "$1/data"
    # A short tick makes sessions expire in about a second; the super user's password is "test".
    cat >"$1/zoo.cfg" <<EOF
tickTime=500
dataDir=$1/data
clientPort=$2
clientPortAddress=127.0.0.1
maxClientCnxns=0
maxSessionTimeout=600000
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=
${SERVER_EXTRA_CONFIG:-}
EOF
}

SERVER_MEMBERS=${SERVER_MEMBERS:-1}
if [ "$SERVER_MEMBERS" = 1 ]; then
    port=$(free_port)
    configure "$SERVER_DIR" "$port"
    ZK_CONNECT=127.0.0.1:$port
else
    ZK_CONNECT= list=
    for ((id = 1; id <= SERVER_MEMBERS; id++)); do
        list+="server.$id=127.0.0.1:$(free_port):$(free_port)"$'\n'
    done
    for ((id = 1; id <= SERVER_MEMBERS; id++)); do
        port=$(free_port)
        configure "$SERVER_DIR/member$id" "$port"
        # Generous limits: the members share two cores with the clients.
        printf 'initLimit=60\nsyncLimit=20\n%s' "$list" >>"$SERVER_DIR/member$id/zoo.cfg"
        echo "$id" >"$SERVER_DIR/member$id/data/myid"
        ZK_CONNECT+=${ZK_CONNECT:+,}127.0.0.1:$port
    done
fi
cat >"$SERVER_DIR/ctl" <<EOF
#!/bin/sh
SERVER_DIR='$SERVER_DIR' exec '$here/server.sh' "\$@"
EOF
chmod +x "$SERVER_DIR/ctl"

# Read by servers of both kinds: empty containers and expired TTL znodes are looked for every half second.
export SERVER_JVMFLAGS="${SERVER_JVMFLAGS:-} -Dznode.container.checkIntervalMs=500"
export SERVER_DIR SERVER_COMMAND SERVER_CTL=$SERVER_DIR/ctl SERVER_MEMBERS ZK_CONNECT

finish() {
    "$SERVER_CTL" kill9
    if [ -n "${KEEP_SERVER_DIR:-}" ]; then echo "kept $SERVER_DIR"; else rm -rf "$SERVER_DIR"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

"$SERVER_CTL" start || exit 1
"$@"
