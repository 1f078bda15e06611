#!/usr/bin/env bash
# Fuzzes what reads other people's bytes, each target for so many seconds: scripts/fuzz.sh SECONDS
#
# Needs a C++ compiler. What is found lies in fuzz/artifacts/; what is learned, in fuzz/corpus/.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS}
targets="checkpoint rows spec weights"

work=$(mktemp -d)
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR" "$work"' EXIT

# Counters of branches, in the crates whose branches are to be found: those that fuzz/Cargo.toml
# compiles otherwise than the library's own tests do. No sanitizer: the crate's `unsafe` is not in
# these targets.
cat >"$work/rustc" <<'EOF'
#!/bin/sh
case $CARGO_PKG_NAME in
secateur | secateur-fuzz | toml | toml_parser | winnow)
    exec "$@" -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
        -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
        -C llvm-args=-sanitizer-coverage-pc-table \
        -C llvm-args=-sanitizer-coverage-trace-compares \
        -C llvm-args=-simplifycfg-branch-fold-threshold=0
    ;;
esac
exec "$@"
EOF
chmod +x "$work/rustc"
built=${CARGO_TARGET_DIR:-$PWD/target}
RUSTC_WRAPPER=$work/rustc CARGO_TARGET_DIR=$built \
    cargo build --locked --manifest-path fuzz/Cargo.toml

for target in $targets; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    "$built/debug/$target" "fuzz/corpus/$target" "fuzz/seeds/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -dict="fuzz/$target.dict"
done
