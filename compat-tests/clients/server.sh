#!/usr/bin/env bash
# Controls the server under test, or all members of an ensemble: server.sh start|stop|kill9|restart|status
# $SERVER_DIR, which with-server.sh fills, is the folder of a server, or has one folder for each member:
#   command   the command that runs a server; the path of zoo.cfg is appended to it
#   zoo.cfg   its configuration, whose clientPort is on 127.0.0.1
#   pid, log  written here: the process, and all it has printed over all its starts
# `start` returns when all answer; `stop` sends SIGTERM, `kill9` SIGKILL, and both return when all are gone; `restart` is
# kill9 and start. Exit code 0 when the state asked for is reached, else 1 with the end of a log.
set -uo pipefail
: "${SERVER_DIR:?set SERVER_DIR to the folder with command and zoo.cfg}"
members=("$SERVER_DIR")
[ -e "$SERVER_DIR/zoo.cfg" ] || members=("$SERVER_DIR"/member*)

# How long a server may take to answer after its start, or to go away after a signal.
readonly DEADLINE_SECONDS=60

# running FOLDER
running() {
    [ -s "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null
}

# answers FOLDER: only `srvr` tells that requests are served; `ruok` is answered before. It is asked over bash's own
# sockets: no tool beyond the shell is needed.
answers() {
    local reply=
    exec 3<>"/dev/tcp/127.0.0.1/$(sed -n 's/^clientPort=//p' "$1/zoo.cfg")" || return 1
    printf srvr >&3
    reply=$(timeout 2 cat <&3)
    exec 3>&-
    [[ $reply == *Mode:* ]]
} 2>/dev/null

# broken FOLDER WHAT
broken() {
    echo "server.sh: $2; the end of $1/log:" >&2
    tail -n 20 "$1/log" >&2
    exit 1
}

# launch FOLDER
launch() {
    running "$1" && return 0
    # setsid: a signal to the caller's group is not the server's business. The command is words, not one path.
    # shellcheck disable=SC2046
    setsid $(cat "$SERVER_DIR/command") "$1/zoo.cfg" >>"$1/log" 2>&1 </dev/null &
    echo $! >"$1/pid"
    disown
}

start() {
    local member end=$((SECONDS + DEADLINE_SECONDS))
    # A member does not answer before a majority runs.
    for member in "${members[@]}"; do launch "$member"; done
    for member in "${members[@]}"; do
        until answers "$member"; do
            running "$member" || broken "$member" "the server ended while it started"
            [ $SECONDS -lt $end ] || broken "$member" "no answer after $DEADLINE_SECONDS s"
            sleep 0.05
        done
    done
}

signal() {
    local member end=$((SECONDS + DEADLINE_SECONDS))
    for member in "${members[@]}"; do
        if running "$member"; then kill "-$1" "$(cat "$member/pid")"; fi
    done
    for member in "${members[@]}"; do
        while running "$member"; do
            [ $SECONDS -lt $end ] || broken "$member" "still there $DEADLINE_SECONDS s after SIG$1"
            sleep 0.05
        done
    done
}

status() {
    local member
    for member in "${members[@]}"; do running "$member" && answers "$member" || return 1; done
}

case ${1:-} in
    start) start ;;
    stop) signal TERM ;;
    kill9) signal KILL ;;
    restart) signal KILL && start ;;
    status) status ;;
    *) echo "usage: server.sh start|stop|kill9|restart|status" >&2; exit 2 ;;
esac
