#!/usr/bin/env bash
# Every WGSL text of this crate in the eyes of Tint, the compiler of Chrome: all must compile, and
# all pipelines be made within WebGPU's default limits, but for those of wgpu's own extension.
#
# Needs node 18 or newer with npm (on Debian and Ubuntu: apt-get install nodejs npm), and installs
# the package webgpu (Dawn for node) below target/. No GPU is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in node npm; do
    command -v "$tool" >/dev/null && continue
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq install -y --no-install-recommends nodejs npm >/dev/null
    else
        echo "judge: no $tool here; on Debian and Ubuntu: apt-get install nodejs npm" >&2
        exit 1
    fi
done

target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target/judge"
if [ ! -e "$target/judge/node_modules/webgpu" ]; then
    (cd "$target/judge" && npm install --silent --no-audit --no-fund --ignore-scripts webgpu@0.6.2)
fi

cargo test --test host -- --exact shaders::texts::texts_are_written_for_other_compilers >/dev/null
script=$PWD/scripts/judge_tint.mjs
cd "$target/judge"
node "$script" "$target/tmp/shaders"
