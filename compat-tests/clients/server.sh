#!/usr/bin/env bash
# Controls one server under test: server.sh start|stop|kill9|restart|status
# The server lives in $SERVER_DIR, which with-server.sh fills:
#   command   the command that runs a server; the path of zoo.cfg is appended to it
#   zoo.cfg   its configuration, whose clientPort is on 127.0.0.1
#   pid, log  written here: the process, and all it has printed over all its starts
# `start` returns when the server answers; `stop` sends SIGTERM, `kill9` SIGKILL, and both return when it is gone;
# `restart` is kill9 and start. Exit code 0 when the state asked for is reached, else 1 with the end of the log.
set -uo pipefail
: "${SERVER_DIR:?set SERVER_DIR to the folder with command and zoo.cfg}"
port=$(sed -n 's/^clientPort=//p' "$SERVER_DIR/zoo.cfg")

# How long a server may take to answer after its start, or to go away after a signal.
readonly DEADLINE_SECONDS=60

running() {
    [ -s "$SERVER_DIR/pid" ] && kill -0 "$(cat "$SERVER_DIR/pid")" 2>/dev/null
}

# Only `srvr` tells that requests are served; `ruok` is answered before. It is asked over bash's own sockets: no tool
# beyond the shell is needed.
answers() {
    local reply=
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf srvr >&3
    reply=$(timeout 2 cat <&3)
    exec 3>&-
    [[ $reply == *Mode:* ]]
} 2>/dev/null

# until_true COMMAND...: polls it, up to the deadline.
until_true() {
    local end=$((SECONDS + DEADLINE_SECONDS))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

gone() { ! running; }

broken() {
    echo "server.sh: $*; the end of $SERVER_DIR/log:" >&2
    tail -n 20 "$SERVER_DIR/log" >&2
    exit 1
}

start() {
    running && return 0
    # setsid: a signal to the caller's group is not the server's business. The command is words, not one path.
    # shellcheck disable=SC2046
    setsid $(cat "$SERVER_DIR/command") "$SERVER_DIR/zoo.cfg" >>"$SERVER_DIR/log" 2>&1 </dev/null &
    echo $! >"$SERVER_DIR/pid"
    disown
    local end=$((SECONDS + DEADLINE_SECONDS))
    until answers; do
        running || broken "the server ended while it started"
        [ $SECONDS -lt $end ] || broken "no answer on port $port after $DEADLINE_SECONDS s"
        sleep 0.05
    done
}

signal() {
    running || return 0
    kill "-$1" "$(cat "$SERVER_DIR/pid")"
    until_true gone || broken "still there $DEADLINE_SECONDS s after SIG$1"
}

case ${1:-} in
    start) start ;;
    stop) signal TERM ;;
    kill9) signal KILL ;;
    restart) signal KILL && start ;;
    status) running && answers ;;
    *) echo "usage: server.sh start|stop|kill9|restart|status" >&2; exit 2 ;;
esac
