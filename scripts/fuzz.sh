#!/usr/bin/env bash
# Fuzzes what reads other people's bytes, each target for so many seconds: scripts/fuzz.sh SECONDS
#
# Needs a C++ compiler. What is found lies in fuzz/artifacts/; what is learned, in fuzz/corpus/.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS}

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
# Coverage needs no nightly compiler, cargo-fuzz only thinks so. No sanitizer: the crate's `unsafe`
# is not in these targets.
export RUSTC_BOOTSTRAP=1
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

for target in checkpoint rows spec weights; do
    mkdir -p "fuzz/corpus/$target"
    cargo fuzz run --dev --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -dict="fuzz/$target.dict"
done
