#!/usr/bin/env bash
# The rules of the code that no compiler checks. Each is one function below, with its reason; the last line counts them.
# Run by run.sh, and by hand: compat-tests/guards.sh
set -uo pipefail
# The end of a pipe runs in this shell, so that `guard` can count.
shopt -s lastpipe
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

readonly LINES_MAX=600

passed=0 failed=0
# guard NAME: reads violations, one on each line, from standard input; none is what is wanted.
guard() {
    local found
    found=$(cat)
    if [ -z "$found" ]; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1"
        sed 's/^/       /' <<<"$found"
    fi
}

# files EXTENSION...: the source files with these endings, without what builds leave behind.
files() {
    local extension names=()
    for extension in "$@"; do names+=(-o -name "*.$extension"); done
    find protocol storage server compat-tests docker .ci -name target -prune -o -type f \( "${names[@]:1}" \) -print |
        LC_ALL=C sort
}

rust=$(files rs)
# code: every line of Rust as FILE:LINE:TEXT, without comments, so that a word in a sentence is no violation.
code() { xargs grep -Hn '' <<<"$rust" | grep -Ev '^[^:]*:[0-9]+:[[:space:]]*//'; }

# The folders are the architecture. A new one at the top is a decision, not an accident.
top_level() {
    local expected='ARCHITECTURE.md CHANGELOG.md COMPATIBILITY.md CONTRIBUTING.md Cargo.lock Cargo.toml LICENSE OPERATIONS.md README.md'
    expected="$expected compat-tests docker protocol server storage"
    # What a build and a server without a file leave behind is no part of it.
    diff <(tr ' ' '\n' <<<"$expected" | LC_ALL=C sort) \
        <(find . -mindepth 1 -maxdepth 1 ! -name '.*' ! -name target ! -name rookeeper-data -printf '%f\n' | LC_ALL=C sort) |
        sed -n 's/^< /missing: /p; s/^> /unexpected: /p'
}
top_level | guard 'the top level holds what it should, and nothing else'

# edges PACKAGE ALLOWED...: the packages of the workspace that PACKAGE uses without being allowed to.
edges() {
    local package=$1 tree
    shift
    tree=$(cargo tree --locked -q -p "$package" -e normal,build,dev --all-features --depth 1 --prefix none) ||
        { echo "cargo tree -p $package fails"; return; }
    awk 'NR > 1 { print $1 }' <<<"$tree" | grep '^rookeeper' | LC_ALL=C sort -u |
        grep -vxF -e "$package" "${@/#/-e}" | sed "s/^/$package uses /"
}
{
    edges rookeeper-protocol
    edges rookeeper-storage rookeeper-protocol
    edges rookeeper-core rookeeper-protocol
    edges rookeeper-bench rookeeper-protocol
    edges rookeeper-sim rookeeper-protocol rookeeper-storage rookeeper-core
    edges rookeeper-compat-tests rookeeper-protocol
} | guard 'packages use only those below them'

# The core is replayed in tests and, later, simulated: a runtime or a database inside would end that.
core_is_pure() {
    local tree
    tree=$(cargo tree --locked -q -p rookeeper-core -e normal --all-features --prefix none) ||
        { echo 'cargo tree -p rookeeper-core fails'; return; }
    grep -Ew '^(tokio|tokio-util|mio|rocksdb|librocksdb-sys|socket2|rustix|libc|rand|getrandom|chrono|time)' <<<"$tree" |
        sed 's/^/rookeeper-core depends on /'
}
core_is_pure | guard 'no runtime, database, socket or randomness below the core'

# clippy.toml of the core forbids the types; here the modules, which it cannot name.
code | grep '^server/core/src/' |
    grep -E '\bstd::(time|thread|net|fs|env|process|io|os)\b|\bstd::collections::(hash_map|hash_set)\b' |
    guard 'the core names no clock, thread, file, socket or process'

# Storage shows a seam, not a database.
{
    code | grep -v '^storage/' | grep -Ew 'rocksdb|librocksdb_sys'
    code | grep '^storage/src/' | grep -v '^storage/src/kv/rocks.rs:' | grep -Ew 'rocksdb|librocksdb_sys'
    grep -lE '^(rocksdb|librocksdb-sys)\b' ./*/Cargo.toml server/*/Cargo.toml | grep -vx './storage/Cargo.toml'
} | guard 'only storage knows RocksDB'

# The compiler denies unsafe code; this denies the exceptions. One in storage would need its proof, and a line here.
code | grep -Ew 'unsafe|unsafe_code' | guard 'no unsafe code'

# A package without this line is checked by nothing.
for manifest in Cargo.toml */Cargo.toml server/*/Cargo.toml; do
    [ "$manifest" = Cargo.toml ] || grep -A1 -x '\[lints\]' "$manifest" | grep -qx 'workspace = true' || echo "$manifest"
done | guard 'every package has the lints of the workspace'

# A reader should know what a file is for before the first line of code.
while read -r file; do
    read -r first <"$file" && [[ $first == '//! '* ]] || echo "$file"
done <<<"$rust" | guard 'every Rust file opens with what it is for'

# Whoever looks for an action of the specification in the code must find its place, and the other way round.
specification() {
    local table='server/core/ENSEMBLE.md'
    diff <(awk -F'|' '/^\| / && NF == 8 { print $7 }' "$table" | grep -oE '[A-Z][A-Za-z0-9]{3,}' | LC_ALL=C sort -u) \
        <(grep -rhE '^ *// zab: ' server/core/src | sed 's/.*zab: //' | grep -oE '[A-Za-z0-9]+' | LC_ALL=C sort -u) |
        sed -n "s|^< |in $table, and nowhere in the code: |p; s|^> |behind '// zab:', and not in $table: |p"
}
specification | guard 'what the agreement takes from the specification is marked in the code'

# Half-done work and tests that do not run look like the real thing.
code | grep -E '\b(todo|unimplemented)!|#\[ignore|#!?\[cfg_attr\(.*ignore' | guard 'nothing is left to do, no test is ignored'

# Near this size there is a second concept in the file.
files rs sh py java go c | xargs wc -l |
    awk -v max=$LINES_MAX '$2 != "total" && $1 > max { print $2 " has " $1 " lines" }' |
    guard "no source file is longer than $LINES_MAX lines"

# A script that goes on after an error reports success for what it never did.
files sh | while read -r script; do
    # Bash only, and what is run, not what is sourced.
    head -1 "$script" | grep -q '^#!.*bash' || continue
    grep -Eq '^set -[a-z]*u[a-z]*o pipefail|^source .*lib\.sh' "$script" || echo "$script"
done | guard 'scripts stop at unset variables and see failures in pipes'

echo "$passed passed, $failed failed"
[ $failed = 0 ]
