#!/usr/bin/env bash
# Sees to it that what is in $CARGO_TARGET_DIR of our own packages was built from this checkout. Cargo tells two checkouts
# apart by the age of their files alone: the older one would run what was built of the newer one. RocksDB and all other
# packages stay.
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
last=$CARGO_TARGET_DIR/checkout
if [ -d "$CARGO_TARGET_DIR" ] && [ "$(cat "$last" 2>/dev/null)" != "$checkout" ]; then
    for profile in dev release; do
        cargo clean --quiet --manifest-path "$checkout/Cargo.toml" --workspace --profile $profile
    done
fi
mkdir -p "$CARGO_TARGET_DIR"
echo "$checkout" >"$last"
