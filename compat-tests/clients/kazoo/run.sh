#!/usr/bin/env bash
# kazoo's own tests, unmodified, from its source distribution. kazoo's harness runs servers of its own with the command
# in SERVER_COMMAND (see fake-java/java); the server at ZK_CONNECT is not used. Tests in skipped.txt are left out on
# either server. Arguments go to pytest, for example `-k test_lock`.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
: "${SERVER_COMMAND:?set SERVER_COMMAND to the command that runs a server, or use with-server.sh}"
suite=$clients/kazoo
python=$cache/kazoo/venv/bin/python
[ -x "$python" ] || { echo "no kazoo: run provision.sh kazoo"; exit 1; }

# A copy: the tests write beside themselves.
cp -r "$cache/kazoo/source/kazoo" "$work/kazoo"
cd "$work" || exit 1
export PATH=$suite/fake-java:$PATH PYTHONPATH=$work:$suite PYTHONDONTWRITEBYTECODE=1 TMPDIR=$work
export SERVER_COMMAND COMPAT_SKIPPED=$suite/skipped.txt COMPAT_RESULTS=$work/results
# CI: kazoo takes the server's version from ZOOKEEPER_VERSION. The class path is that of fake-java, which needs none.
export CI=true ZOOKEEPER_VERSION=3.9.5 ZOOKEEPER_CLUSTER_SIZE=${SERVER_MEMBERS:-1} ZOOKEEPER_CLASSPATH=unused
# Some tests wait for seconds that are fixed in them, which a busy machine can exceed. A few that failed get a second
# chance, one at a time; more than that is no accident.
second_chances=8

tests() {
    timeout -k 10 900 "$python" -m pytest -p compat_plugin -p no:cacheprovider --timeout=120 -q --tb=short "$@" >>"$work/out" 2>&1
}

tests -n 2 --dist loadscope kazoo/tests "$@"
[ -s "$work/results" ] || { tail -n 50 "$work/out"; echo "0 passed, 1 failed"; exit 1; }
mapfile -t again < <("$python" "$suite/compat_plugin.py" failed "$work/results")
if [ -n "${again[0]}" ] && [ ${#again[@]} -le $second_chances ]; then
    printf 'once more: %s\n' "${again[@]}" >&2
    tests "${again[@]}"
fi
"$python" "$suite/compat_plugin.py" print "$work/results"
