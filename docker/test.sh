#!/usr/bin/env bash
# Builds the images and runs them: the server by itself, the zkCli.sh suite against it from a second container, an ensemble
# of three, and one with a member of Apache ZooKeeper.
#
#   docker/test.sh          the last line counts what was checked; where no daemon can run, it is skipped and says why
#
# No image registry is needed: the base images are made from Debian's packages, the server is the one that
# server/run.sh builds, the jars are those of compat-tests/provision. A daemon that answers is used; else one is
# installed and started, as root, with folders of its own, and ended afterwards.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$here/..
cache=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}
target_dir=${CARGO_TARGET_DIR:-$cache/target}
binary=${ROOKEEPER_BIN:-$target_dir/release/rookeeper}

# How long a daemon, and a server in a container, may take until they answer.
readonly DEADLINE_SECONDS=90

work=$(mktemp -d "${TMPDIR:-/tmp}/rookeeper-docker.XXXXXX")
# Names of its own, so that what else the daemon holds is left alone.
project=rookeeper-test-$$
export ROOKEEPER_IMAGE=$project ROOKEEPER_COMPAT_IMAGE=$project-compat
export ROOKEEPER_PORT=0 ROOKEEPER_PORT_2=0 ROOKEEPER_PORT_3=0
daemon=
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok   $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1${2:+: $2}"; }
# check NAME COMMAND...: its output is shown where it fails.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then ok "$name"; else bad "$name" "$(tail -n 40 <<<"$out")"; fi
}
summary() {
    echo "$passed passed, $failed failed${1:+, $1 skipped}"
    [ $failed = 0 ]
    exit
}
skip() {
    echo "skipped: no Docker here: $*"
    summary 1
}

cleanup() {
    if [ -n "${DOCKER_READY:-}" ]; then
        { compose down --volumes --timeout 1; ours down --volumes --timeout 1; mixed down --volumes --timeout 1; } >/dev/null 2>&1
        docker image rm -f "$project" "$project-compat" "$project-base" "$project-compat-base" >/dev/null 2>&1
    fi
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon" 2>/dev/null
        # Kept mounts would make the folder's removal reach into them.
        grep -F " $work/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l 2>/dev/null
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# composed PROJECT ARGUMENT...: the plugin, or the program that came before it.
composed() {
    local command=(docker compose) name=$1
    shift
    docker compose version >/dev/null 2>&1 || command=(docker-compose)
    "${command[@]}" -p "$name" "$@"
}
compose() { composed "$project" -f "$here/compose.yaml" -f "$here/compat/compose.yaml" "$@"; }
ours() { composed "$project-ours" -f "$here/ensemble.yaml" "$@"; }
mixed() { composed "$project-mixed" -f "$here/ensemble.yaml" -f "$here/compat/mixed.yaml" "$@"; }

# until_true COMMAND...: polls it, up to the deadline.
until_true() {
    local end=$((SECONDS + DEADLINE_SECONDS))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# A daemon: the one that answers, or one of our own.
if ! docker info >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || skip 'no daemon answers, and only root can start one'
    command -v apt-get >/dev/null || skip 'no daemon answers, and this is not Debian'
    # The client is a package of its own from trixie on.
    client=$(apt-cache pkgnames docker-cli 2>/dev/null | grep -x docker-cli)
    # shellcheck disable=SC2086 # no word where there is no such package
    "$top/server/packages.sh" docker.io $client iptables || skip 'no daemon answers, and docker.io cannot be installed'
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/data" --exec-root "$work/run" --pidfile "$work/pid" -H "$DOCKER_HOST" >"$work/log" 2>&1 &
    daemon=$!
    answers() { docker info || ! kill -0 "$daemon"; }
    until_true answers
    docker info >/dev/null 2>&1 || skip "dockerd does not come up here: $(tail -n 5 "$work/log")"
fi
DOCKER_READY=yes
echo "docker: $(docker info -f 'server {{.ServerVersion}}, storage {{.Driver}}, cgroups {{.CgroupVersion}}')"
docker compose version >/dev/null 2>&1 || "$top/server/packages.sh" docker-compose || skip 'no Compose, and docker-compose cannot be installed'

[ -x "$binary" ] || { bad 'the server is built' "no $binary: run server/run.sh --build"; summary; }
[ -d "$cache/jars/zookeeper" ] || { bad 'the jars are there' 'run compat-tests/provision/provision.sh zookeeper'; summary; }

# base NAME PACKAGE...: a base image of the Debian that this machine has, so that the server's libraries fit.
base() {
    local name=$1 release root tar mirror
    shift
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    tar=$cache/docker/$release-$name.tar
    if [ ! -s "$tar" ]; then
        "$top/server/packages.sh" debootstrap || return 1
        mkdir -p "$cache/docker/packages"
        root=$work/$name
        # From where this machine has its packages.
        mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" 'Created-By: Packages' | head -n 1)
        debootstrap --variant=minbase --cache-dir="$cache/docker/packages" ${1:+--include="$(tr ' ' , <<<"$*")"} \
            "$release" "$root" $mirror || return 1
        tar -C "$root" --exclude=./var/cache/apt/archives --exclude=./var/lib/apt/lists -cf "$tar.new" . &&
            mv "$tar.new" "$tar" || return 1
        rm -rf "$root"
    fi
    docker import "$tar" "$project-$name"
}
check 'base image from packages' base base
check 'base image with Java from packages' base compat-base default-jre-headless python3

# A context of their own, so that nothing is copied into the checkout.
context=$work/context
mkdir -p "$context/compat-tests" "$context/docker/compat"
cp -r "$here" "$context/"
cp -r "$top/compat-tests/provision" "$top/compat-tests/clients" "$context/compat-tests/"
cp -r "$cache/jars/zookeeper" "$context/docker/compat/jars"
strip -o "$context/docker/rookeeper" "$binary" || cp "$binary" "$context/docker/rookeeper"
build() {
    docker build -q -t "$1" -f "$context/docker/$2" --target prebuilt --build-arg "BASE=$3" "$context"
}
check 'the image of the server builds' build "$project" Dockerfile "$project-base"
check 'the image of the suite builds' build "$project-compat" compat/Dockerfile "$project-compat-base"
[ $failed = 0 ] || summary
echo "the server adds $(du -k "$context/docker/rookeeper" | cut -f1) KB to its base"

no_root() { [ "$(docker run --rm --entrypoint id "$project" -u)" = 2181 ]; }
check 'the server is not root' no_root
unhealthy() { ! docker run --rm --entrypoint healthcheck "$project"; }
check 'the health check fails without a server' unhealthy

container() { compose ps -q rookeeper; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$(container)")" = healthy ]; }
check 'Compose starts the server' compose up -d --no-build rookeeper zookeeper
check 'it gets healthy' until_true healthy

# The suite counts its commands itself; both servers must be empty, so it comes first.
compose run --rm -T compat >"$work/suite" 2>"$work/suite-errors" </dev/null
count=$(tail -n 1 "$work/suite" | tr -d '\r')
if grep -Eq '^[0-9]+ passed, [0-9]+ failed$' <<<"$count"; then
    grep -A 12 '^FAIL' "$work/suite" | grep -v '^ok ' | cut -c1-300
    echo "zkCli.sh from a second container: $count"
    passed=$((passed + ${count%% *}))
    count=${count#* passed, }
    failed=$((failed + ${count%% *}))
else
    bad 'zkCli.sh from a second container' "$(tail -n 20 "$work/suite" "$work/suite-errors")"
fi

zkcli() { compose run --rm -T --no-deps compat compat-tests/provision/zkcli.sh -server rookeeper:2181 "$@" </dev/null; }
check 'a znode is created' zkcli create /kept 'over the kill'
check 'the server is killed' compose kill -s KILL rookeeper
check 'it is started again' compose up -d --no-build rookeeper
check 'it gets healthy again' until_true healthy
kept() { zkcli get /kept | tee /dev/stderr | grep -q 'over the kill'; }
check 'the znode outlives the kill' kept

stops() {
    local id code began=$SECONDS
    id=$(container)
    docker stop -t 20 "$id" || return 1
    code=$(docker inspect -f '{{.State.ExitCode}}' "$id")
    echo "exit code $code after $((SECONDS - began)) s"
    [ "$code" = 0 ] && [ $((SECONDS - began)) -le 5 ]
}
check 'it ends in order when it is stopped' stops

# ensemble COMPOSE NAME: three members lose the third one, and get it back.
ensemble() {
    local run=$1 name=$2 network=$project-${1}_default
    health() { docker inspect -f '{{.State.Health.Status}}' "$("$run" ps -q "$1")"; }
    all_healthy() {
        local member
        for member in member-1 member-2 member-3; do [ "$(health $member)" = healthy ] || return 1; done
    }
    # zkcli MEMBER COMMAND...: from another container.
    zkcli() {
        local member=$1
        shift
        docker run --rm --network "$network" "$project-compat" \
            compat-tests/provision/zkcli.sh -server "$member:2181" "$@" </dev/null
    }
    has() { zkcli "$1" get "$2" | tee /dev/stderr | grep -q "$3"; }
    check "$name: Compose starts three members" "$run" up -d --no-build
    check "$name: they get healthy" until_true all_healthy
    check "$name: a znode is created with one member" zkcli member-1 create /one 'by three'
    check "$name: and read with another" has member-3 /one 'by three'
    check "$name: one member is killed" "$run" kill -s KILL member-3
    check "$name: the others take a write" zkcli member-2 create /two 'by two'
    check "$name: it is started again" "$run" up -d --no-build member-3
    check "$name: it gets healthy" until_true all_healthy
    check "$name: it has what it missed" has member-3 /two 'by two'
    "$run" down --volumes --timeout 1 >/dev/null 2>&1
}
ensemble ours 'three members'
ensemble mixed 'two members and Apache ZooKeeper'
summary
