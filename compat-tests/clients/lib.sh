# Shared by the suites' run.sh: sourced, never run. Gives the places, the build of Java sources, and the counting of
# checks. A suite that is a program of its own counts for itself and prints the same lines.
# shellcheck shell=bash
set -uo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}
provision=$clients/../provision
: "${ZK_CONNECT:?set ZK_CONNECT to host:port of the server under test, or run this through with-server.sh}"
export ROOKEEPER_CACHE=$cache ZK_CONNECT

# A scratch folder, gone at the end. Stand-ins for a client's own server scripts write the ids of their processes into
# $COMPAT_PIDS; one that a test has left behind is ended then. Its environment tells it from a later process of that id.
work=$(mktemp -d "${TMPDIR:-/tmp}/compat-suite.XXXXXX")
export COMPAT_PIDS=$work/pids
cleanup() {
    local pid
    if [ -e "$COMPAT_PIDS" ]; then
        while read -r pid; do
            grep -qsF "COMPAT_PIDS=$COMPAT_PIDS" "/proc/$pid/environ" && kill -9 "$pid"
        done <"$COMPAT_PIDS"
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok   $1"; }
# bad NAME [WHY]
bad() { failed=$((failed + 1)); echo "FAIL $1${2:+: $2}"; }
# summary: the last line, and the exit code of the suite
summary() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ] && [ $passed -gt 0 ]
}

# java_classes MODULE SOURCE_DIR...: compiles once per state of the sources; prints the class path to run with.
java_classes() {
    local module=$1 sources out
    shift
    [ -d "$cache/jars/$module" ] || { echo "no jars of $module: run provision.sh $module" >&2; return 1; }
    mapfile -t sources < <(find "$@" -name '*.java' | LC_ALL=C sort)
    out=$cache/classes/$module-$(cat "${sources[@]}" | sha256sum | cut -c1-16)
    if [ ! -e "$out/.done" ]; then
        rm -rf "$cache/classes/$module"-*
        mkdir -p "$out"
        javac -nowarn -XDsuppressNotes -Xlint:-options -proc:none -cp "$cache/jars/$module/*" -d "$out" "${sources[@]}" >&2 || return 1
        touch "$out/.done"
    fi
    echo "$out:$cache/jars/$module/*"
}

# Options of every Java client here: quick to start, quiet.
java_flags=(-XX:TieredStopAtLevel=1 -Xmx512m "-Dlogback.configurationFile=$provision/logback.xml"
    "-Drookeeper.log.level=${ZK_LOG_LEVEL:-OFF}" "-Dorg.slf4j.simpleLogger.defaultLogLevel=${SLF4J_LEVEL:-off}")
