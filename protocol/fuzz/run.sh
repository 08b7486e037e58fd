#!/usr/bin/env bash
# Runs the fuzz targets for a bounded time, with nothing but the stable toolchain and a C++ compiler:
#
#   run.sh [SECONDS [TARGET...]]    default: 15 seconds each, all targets; `session` has three times as long
#
# `cargo fuzz run TARGET` does the same without a bound, where cargo-fuzz is installed. What is found is kept in
# artifacts/, and `cargo fuzz run TARGET FILE` or the program named below plays it again. Inputs that reached something
# new are kept beside the programs for the next run. The last line counts the targets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Longest input in bytes: room for a session of some sixty requests.
readonly INPUT_BYTES_MAX=8192
# A target that needs more than this for one input believes lengths that it should check.
readonly RSS_MB_MAX=1024
readonly INPUT_SECONDS_MAX=20

seconds=${1:-15}
shift || true
[ $# -gt 0 ] || set -- session packets snapshot election log_entry request multi frames connect reply four_letter
target_dir=${CARGO_TARGET_DIR:-${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz sets, but for the address sanitizer: it needs nightly, and there is no unsafe code to watch.
RUSTFLAGS='--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
for part in inline-8bit-counters pc-table trace-compares; do
    RUSTFLAGS="$RUSTFLAGS -Cllvm-args=-sanitizer-coverage-$part"
done
export RUSTFLAGS
# With --target, build scripts and macros stay without these flags.
cargo build --locked --release --bins --target "$host" --target-dir "$target_dir"

mkdir -p artifacts
# fuzz TARGET: one line with the outcome, the whole output where there is something to see.
fuzz() {
    local target=$1 time=$seconds program=$target_dir/$host/release/$1 corpus=$target_dir/corpus/$1 log
    [ "$target" != session ] || time=$((seconds * 3))
    [ -x "$program" ] || { echo "FAIL $target: there is no such target"; return; }
    mkdir -p "$corpus"
    log=$(mktemp)
    if "$program" "-max_total_time=$time" "-max_len=$INPUT_BYTES_MAX" "-rss_limit_mb=$RSS_MB_MAX" \
        "-timeout=$INPUT_SECONDS_MAX" "-artifact_prefix=artifacts/$target-" "$corpus" >"$log" 2>&1; then
        echo "ok   $target: $(sed -n 's/^Done \(.*\) runs in .*/\1/p' "$log") inputs"
    else
        tail -n 60 "$log"
        echo "FAIL $target: play it again with $program $PWD/artifacts/$target-..."
    fi
    rm -f "$log"
}

outcome=$(mktemp)
trap 'rm -f "$outcome"' EXIT
export -f fuzz
export seconds target_dir host INPUT_BYTES_MAX RSS_MB_MAX INPUT_SECONDS_MAX
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' bash -uc 'fuzz {}' | tee "$outcome"
passed=$(grep -c '^ok ' "$outcome" || true)
failed=$(($# - passed))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
