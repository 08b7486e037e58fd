#!/usr/bin/env bash
# Installs what the tests need on a Debian machine with Rust, and runs all of them:
#
#   compat-tests/run.sh                everything; from nothing in less than an hour on two cores
#   compat-tests/run.sh fuzz clients   only these stages; --list names them
#
# What takes long to get is kept outside the checkout, in $ROOKEEPER_CACHE (default ~/.cache/rookeeper), and is not
# needed. A stage that fails shows the end of its log; the others still run. The last line counts everything: each test
# of Rust and of the clients' suites, each rule, each check. Nothing is counted that did not run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
top=$PWD
cache=${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}
export ROOKEEPER_CACHE=$cache CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export CARGO_TERM_COLOR=never
export ROOKEEPER_BIN=$CARGO_TARGET_DIR/release/rookeeper PATH=$PATH:$HOME/.cargo/bin:$cache/tools/bin
# Thousands of connections in some tests; where the limit cannot be raised they say so themselves.
ulimit -Sn "$(ulimit -Hn)" 2>/dev/null

# What the whole may take, in minutes; longer than that is said, not punished.
readonly BUDGET_MINUTES=60
# Lines of a failed stage's log that are shown.
readonly LOG_TAIL_LINES=150
# Of cargo-deny: what it finds must not depend on the day.
readonly CARGO_DENY=0.20.2
# How often the crash test kills the server, and how long each fuzz target runs.
export ROOKEEPER_CRASH_CYCLES=${ROOKEEPER_CRASH_CYCLES:-200}
fuzz_seconds=${ROOKEEPER_FUZZ_SECONDS:-15}
# How long the simulator runs seeds that nobody has run.
sim_minutes=${ROOKEEPER_SIM_MINUTES:-2}

# One profile for everything that needs RocksDB, so that it is compiled once.
cargo_release=(--locked --release)
# The side-by-side tests need none of it: unoptimized, they are built in a tenth of the time.
cargo_quick=(--locked)

### Stages. Each is a function whose output is its log. It tells how it went by its exit code, and by lines that count.

stage_provision() {
    # A stage is a process of its own, and cannot wait for a child of its parent.
    until [ -s "$logs/provisioned" ]; do sleep 1; done
    cat "$logs/provisioning"
    return "$(cat "$logs/provisioned")"
}

stage_format() {
    cargo fmt --all --check -- --color never && cargo fmt --manifest-path protocol/fuzz/Cargo.toml --check -- --color never
}

stage_guards() { compat-tests/guards.sh; }

stage_build() { server/run.sh --build; }

stage_clippy() {
    cargo clippy "${cargo_release[@]}" --workspace --all-targets -- -D warnings
}

stage_docs() {
    RUSTDOCFLAGS='-D warnings' cargo doc "${cargo_release[@]}" --workspace --no-deps
}

stage_deny() {
    if ! cargo deny --version >/dev/null 2>&1; then
        cargo install cargo-deny --locked --version "$CARGO_DENY" --root "$cache/tools" --target-dir "$CARGO_TARGET_DIR/tools" ||
            return 1
        rm -rf "$CARGO_TARGET_DIR/tools"
    fi
    cargo deny --locked check bans licenses sources
}

stage_advisories() {
    # The database is in a repository of its own. `fetch` brings it up to date where the network reaches it.
    if ! timeout 60 cargo deny fetch db && [ -z "$(find "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" -name '*.md' -print -quit 2>/dev/null)" ]; then
        echo 'skipped: the database of advisories cannot be reached, and none is here'
        echo '0 passed, 0 failed, 1 skipped'
        return 0
    fi
    cargo deny --locked --offline check advisories && echo '1 passed, 0 failed'
}

stage_unit() {
    # Examples are compiled by clippy; linking each of them with RocksDB takes longer than the tests.
    cargo test "${cargo_release[@]}" --no-fail-fast --workspace --exclude rookeeper-compat-tests --lib --bins --tests
}

stage_fuzz() { protocol/fuzz/run.sh "$fuzz_seconds"; }

stage_sim() {
    # Seeds that nobody has run: a failing one is told with the command that replays it. --seconds is as in the fixed ones.
    local sim=(cargo run "${cargo_release[@]}" -q -p rookeeper-sim --) fresh=$(($(date +%s) * 1000))
    {
        cargo test "${cargo_release[@]}" -p rookeeper-sim --features planted --test planted
        "${sim[@]}" play server/sim/scenarios/*.txt
        "${sim[@]}" run --seeds 0..100 --seconds 30 --all
        "${sim[@]}" run --seeds "$fresh.." --seconds 60 --minutes "$sim_minutes" --all
    } 2>&1 | awk '
        { print }
        /^test result: / { p += $4; f += $6; told += 1 }
        /^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3; told += 1 }
        # A part that tells nothing has died.
        END { if (told < 4) f += 1; print p + 0 " passed, " f + 0 " failed"; exit f > 0 }'
}

# side_by_side ARGUMENT...: those programs of the side-by-side tests that cargo's arguments name.
side_by_side() { cargo test "${cargo_quick[@]}" --no-fail-fast -p rookeeper-compat-tests "$@"; }

# Those that have no stage of their own.
stage_compare() {
    local file name names=(--lib)
    for file in compat-tests/tests/*.rs; do
        name=$(basename "$file" .rs)
        case $name in crash | mixed* | rolling_switch | ensemble_* | reconfig | growth | initialize | groups | read_only | local_sessions | observers | synchronizing | rollover | peer_ports | worst_day | hostile_peers | large_snapshot | zkcli_members) ;; *) names+=(--test "$name") ;; esac
    done
    side_by_side "${names[@]}"
}

stage_mixed() { side_by_side --test mixed --test mixed_log --test mixed_sessions --test rolling_switch; }

# Members that come, go and change, and what they are for clients meanwhile.
stage_members() {
    side_by_side --test reconfig --test growth --test initialize --test groups --test read_only --test local_sessions --test observers --test synchronizing \
        --test rollover --test peer_ports --test worst_day --test hostile_peers --test large_snapshot --test zkcli_members
}

stage_ensemble() {
    local hosts=(ensemble_partitions ensemble_addresses) names=(--test=ensemble_kills) probe=rookeeper-probe-$$
    if ip netns add $probe; then
        ip netns del $probe
        names+=("${hosts[@]/#/--test=}")
    else
        echo "skipped: $(cd compat-tests/tests && cat "${hosts[@]/%/.rs}" | grep -c '^#\[test\]') tests: no network namespaces can be made here"
    fi
    side_by_side "${names[@]}"
}

stage_crash() {
    cargo test "${cargo_quick[@]}" -p rookeeper-compat-tests --test crash -- --nocapture
}

stage_clients() {
    COMPAT_LOGS=$logs/client-suites compat-tests/clients/run-all.sh "$ROOKEEPER_BIN server"
}

# The same suites on ensembles of three.
stage_clients3() {
    COMPAT_LOGS=$logs/client-suites3 SERVER_MEMBERS=3 compat-tests/clients/run-all.sh "$ROOKEEPER_BIN server"
}

stage_docker() { docker/test.sh; }

stage_bench() { python3 compat-tests/bench/compare.py --quick; }

# Name, longest time in minutes, what its outcome is: `check` counts as one by its exit code, `cargo` and `lines` are
# counted from what they print.
stages='
format      5 check
guards      5 lines
build      40 check
clippy     15 check
docs       15 check
deny       15 check
advisories  5 lines
unit       35 cargo
fuzz       15 lines
sim        20 lines
provision  20 check
compare    20 cargo
crash      15 cargo
mixed      15 cargo
members    15 cargo
ensemble   20 cargo
clients    30 lines
clients3   30 lines
docker     20 lines
bench      15 check
'

### Counting

passed=0 failed=0 skipped=0 broken=()

# counted KIND LOG CODE: sets `counts` to what a stage's log tells: passed, failed, skipped.
counted() {
    local kind=$1 log=$2 code=$3 line
    case $kind in
        check) counts=(0 0 0); [ "$code" != 0 ] || counts=(1 0 0) ;;
        cargo)
            # test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
            # A test program with a main function of its own prints no such line, and counts as one.
            read -ra counts < <(awk '
                /^ +(Running|Doc-tests) / { p += own; own = /Running/ }
                /^test result: / { p += $4; f += $6; s += $8; own = 0 }
                /^error: test failed/ { f += own; own = 0 }
                /^skipped: [0-9]+ tests: / { s += $2 }
                END { print p + own, f + 0, s + 0 }' "$log")
            ;;
        lines)
            line=$(grep -Eo '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$log" | tail -n 1)
            read -ra counts < <(tr -c '0-9\n' ' ' <<<"${line:-0 0 0}")
            counts[2]=${counts[2]:-0}
            ;;
    esac
    # A stage that counts nothing did nothing; one that fails without a failure died.
    if [ "${counts[1]}" = 0 ] && { [ "$code" != 0 ] || [ $((counts[0] + counts[2])) = 0 ]; }; then counts[1]=1; fi
}

# Stages against other people's servers and clients, which have timeouts of their own: one that fails is run once more,
# and that is said.
readonly SECOND_CHANCE=' compare crash mixed members ensemble clients clients3 docker bench '

# attempt NAME MINUTES KIND: runs a stage and sets `counts`.
attempt() {
    local name=$1 minutes=$2 kind=$3 log=$logs/$1 code watchdog
    # In a group of its own, so that one that hangs can be ended with all it has started.
    set -m
    "stage_$name" >"$log" 2>&1 </dev/null &
    stage=$!
    set +m
    { sleep $((minutes * 60)) && echo "ended after $minutes minutes" >>"$log" && kill -KILL -- "-$stage"; } >/dev/null 2>&1 &
    watchdog=$!
    wait "$stage" 2>/dev/null
    code=$? stage=
    pkill -P "$watchdog" 2>/dev/null
    kill "$watchdog" 2>/dev/null
    counted "$kind" "$log" "$code"
}

# report NAME BEGAN: prints what `counts` says of a stage, and the end of its log if it failed.
report() {
    local name=$1 log=$logs/$1
    printf '%-11s%5d passed %4d failed %3d skipped %6d s\n' "$name" "${counts[@]}" $((SECONDS - $2))
    grep -h '^skipped: ' "$log"
    [ "${counts[1]}" != 0 ] || return 0
    printf -- '--- the end of %s\n' "$log"
    tail -n $LOG_TAIL_LINES "$log"
    printf -- '---\n'
}

# run_stage NAME MINUTES KIND
run_stage() {
    local began=$SECONDS
    attempt "$@"
    report "$1" "$began"
    if [ "${counts[1]}" != 0 ] && [[ $SECOND_CHANCE == *" $1 "* ]]; then
        cp "$logs/$1" "$logs/$1.first"
        echo "$1 failed, and is run a second time"
        began=$SECONDS
        attempt "$@"
        report "$1" "$began"
    fi
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
    [ "${counts[1]}" = 0 ] || broken+=("$1")
}

### Set-up

if [ "${1:-}" = --list ]; then
    awk 'NF { print $1 }' <<<"$stages"
    exit 0
fi
for name in "$@"; do
    grep -Eq "^$name +[0-9]+ " <<<"$stages" || { echo "no stage '$name'; --list names them" >&2; exit 2; }
done
wanted() { [ $# = 1 ] || [[ " ${*:2} " == *" $1 "* ]]; }

logs=$(mktemp -d "${TMPDIR:-/tmp}/rookeeper-tests.XXXXXX")
provisioning= stage=
finish() {
    [ -z "$provisioning" ] || kill -- "-$provisioning" 2>/dev/null
    [ -z "$stage" ] || kill -- "-$stage" 2>/dev/null
    if [ $failed = 0 ]; then rm -rf "$logs"; else echo "logs are kept in $logs" >&2; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

command -v cargo >/dev/null || { echo 'no cargo: install Rust 1.95 or newer, for example with rustup' >&2; exit 1; }
for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component" ||
        echo "no $component, and rustup cannot add it: its stage will fail" >&2
done
if command -v dpkg-query >/dev/null; then
    # python3: the suites that play zkCli.sh and measure; the rest is for the build (see server/run.sh).
    server/packages.sh ca-certificates g++ make libclang-dev python3 || exit 1
fi
server/own-packages.sh || exit 1
# Downloads go on while the compiler works. Not two of apt at the same time: the packages above are there now.
if wanted provision "$@"; then
    { compat-tests/provision/provision.sh >"$logs/provisioning" 2>&1 </dev/null; echo $? >"$logs/provisioned"; } &
    provisioning=$!
fi

while read -r name minutes kind; do
    [ -n "$name" ] && wanted "$name" "$@" || continue
    run_stage "$name" "$minutes" "$kind"
done <<<"$stages"

printf 'total: %d min %d s' $((SECONDS / 60)) $((SECONDS % 60))
[ $SECONDS -le $((BUDGET_MINUTES * 60)) ] || printf ', more than the %d min it should take' $BUDGET_MINUTES
echo
[ ${#broken[@]} = 0 ] || echo "failed: ${broken[*]}"
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ]
