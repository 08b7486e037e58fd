#!/usr/bin/env bash
# Builds the server and runs it, on a Debian machine with Rust. What is given goes to `rookeeper server`:
#
#   server/run.sh            port 2181, data in ./rookeeper-data
#   server/run.sh zoo.cfg    as this file says
#   server/run.sh --build    builds, and prints where the program is
#
# The first build takes some ten minutes, most of them for RocksDB. It is kept outside the checkout: in
# $CARGO_TARGET_DIR, or in $ROOKEEPER_CACHE/target (default ~/.cache/rookeeper/target).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${ROOKEEPER_CACHE:-$HOME/.cache/rookeeper}/target}

# RocksDB is C++ (g++), its bindings are made with libclang, jemalloc is built with make.
if command -v dpkg-query >/dev/null; then
    "$here/packages.sh" ca-certificates g++ make libclang-dev
else
    echo 'not Debian: g++, make and libclang must be there' >&2
fi
# rustup puts cargo there, but only the next login finds it.
PATH=$PATH:$HOME/.cargo/bin
command -v cargo >/dev/null || { echo 'no cargo: install Rust 1.95 or newer, for example with rustup' >&2; exit 1; }

"$here/own-packages.sh"
cargo build --manifest-path "$here/../Cargo.toml" --locked --release -p rookeeper >&2
if [ "${1:-}" = --build ]; then
    echo "$CARGO_TARGET_DIR/release/rookeeper"
else
    exec "$CARGO_TARGET_DIR/release/rookeeper" server "$@"
fi
