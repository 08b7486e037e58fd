#!/usr/bin/env bash
# Installs what the compatibility tests run, on a fresh Debian with Rust: system packages, Apache ZooKeeper and the Java
# clients (Maven), kazoo with its tests (pip), go-zookeeper (Go modules). Idempotent: what is there is left alone, and
# with a filled cache nothing is asked of the network.
#
#   provision.sh                 everything
#   provision.sh zookeeper c     only these parts: zookeeper zookeeper-older curator kafka dubbo c go kazoo network
#
# Everything but the system packages goes to $ROOKEEPER_CACHE (default ~/.cache/rookeeper), outside the checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}
mkdir -p "$cache/stamps"

say() { printf 'provision: %s\n' "$*"; }

# Runs a command as root: directly, or through sudo where the user may.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt PACKAGE...: installs those that are missing, and refreshes the package lists once only if something is.
apt() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    say "installing ${missing[*]}"
    if [ ! -e "$cache/stamps/.apt-updated" ] || [ -n "$(find "$cache/stamps/.apt-updated" -mmin +600)" ]; then
        as_root apt-get -qq update
        touch "$cache/stamps/.apt-updated"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian's JDK of the release at hand (17 in bookworm); a JDK that is already on the path is left alone.
java_tools() {
    command -v javac >/dev/null || apt default-jdk-headless
}

# jars MODULE: the run-time class path of one module of maven/pom.xml in $cache/jars/MODULE.
# A stamp that holds the poms it was made from tells whether Maven has anything to do.
jars() {
    local module=$1 stamp=$cache/stamps/jars-$1
    if cat "$here/maven/pom.xml" "$here/maven/$module/pom.xml" | cmp -s - "$stamp" && [ -d "$cache/jars/$module" ]; then
        return 0
    fi
    java_tools
    command -v mvn >/dev/null || apt maven
    say "jars of $module"
    rm -rf "$cache/jars/$module" "$stamp"
    mvn -q -B -f "$here/maven/pom.xml" -pl "$module" package "-Drookeeper.cache=$cache"
    cat "$here/maven/pom.xml" "$here/maven/$module/pom.xml" > "$stamp"
}

part_zookeeper() {
    java_tools
    # The zkCli suite plays its commands from Python.
    command -v python3 >/dev/null || apt python3
    jars zookeeper
}
# Members of an ensemble may run the version that Debian has.
part_zookeeper-older() { part_zookeeper; jars zookeeper-older; }
# Hosts for the members of an ensemble.
part_network() { apt iproute2 iptables; }
part_curator() { part_zookeeper; jars curator; }
part_kafka() { part_zookeeper; jars kafka; }
part_dubbo() { part_zookeeper; jars dubbo; }

part_c() { apt gcc libc6-dev libzookeeper-mt-dev; }

part_go() {
    command -v go >/dev/null || apt golang
    command -v gcc >/dev/null || apt gcc libc6-dev
    local module=$here/../clients/go
    # -modcacherw: the cache can be deleted with plain rm.
    (cd "$module" && GOFLAGS=-modcacherw GOMODCACHE=$cache/go go mod download)
    # Its upstream tests are run from a writable copy.
    local version source
    version=$(awk '$1 == "github.com/go-zookeeper/zk" || $2 == "github.com/go-zookeeper/zk" { print $NF }' "$module/go.mod")
    source=$cache/go/github.com/go-zookeeper/zk@$version
    if [ ! -e "$cache/go-zookeeper/$version" ]; then
        rm -rf "$cache/go-zookeeper"
        mkdir -p "$cache/go-zookeeper"
        cp -r "$source" "$cache/go-zookeeper/$version"
        chmod -R u+w "$cache/go-zookeeper/$version"
    fi
}

part_kazoo() {
    local requirements=$here/kazoo-requirements.txt stamp=$cache/stamps/kazoo
    command -v python3 >/dev/null || apt python3
    cmp -s "$requirements" "$stamp" && [ -d "$cache/kazoo/source" ] && return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt python3-venv
    say 'kazoo'
    rm -rf "$cache/kazoo" "$stamp"
    mkdir -p "$cache/kazoo"
    python3 -m venv "$cache/kazoo/venv"
    "$cache/kazoo/venv/bin/pip" -q install -r "$requirements"
    # The source distribution carries the tests; the wheel does not.
    local pin
    pin=$(grep '^kazoo==' "$requirements")
    "$cache/kazoo/venv/bin/pip" -q download --no-deps --no-build-isolation --no-binary kazoo -d "$cache/kazoo" "$pin"
    mkdir "$cache/kazoo/source"
    tar -xzf "$cache"/kazoo/kazoo-*.tar.gz -C "$cache/kazoo/source" --strip-components=1
    cp "$requirements" "$stamp"
}

parts=(zookeeper zookeeper-older curator kafka dubbo c go kazoo network)
[ $# -gt 0 ] || set -- "${parts[@]}"
for part in "$@"; do
    declare -F "part_$part" >/dev/null || { say "no part '$part'; allowed: ${parts[*]}"; exit 2; }
    "part_$part"
done
say "ready: $*"
