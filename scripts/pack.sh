#!/usr/bin/env bash
# Packs tests, benchmarks and the program into a folder that runs where there is no Rust, such as a machine with a GPU:
#   scripts/pack.sh OUT_FOLDER [--dev]    on this machine; --dev packs what `cargo test` builds, which is slower when it runs
#   OUT_FOLDER/run.sh RESULTS_FOLDER      on the other: Linux x86-64, glibc no older than here, a Vulkan loader and a driver
set -euo pipefail

usage="usage: scripts/pack.sh OUT_FOLDER [--dev]"
out=$(realpath -m "${1:?$usage}")
profile=release release=--release
case ${2:-} in
    '') ;;
    --dev) profile=dev release= ;;
    *) echo "$usage" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."
if [ -e "$out" ] && [ -n "$(ls -A "$out")" ]; then
    echo "$out is not empty; choose another folder or remove it" >&2
    exit 2
fi
mkdir -p "$out/bin" "$out/tests" "$out/project"

# Copies what cargo says that it has built; `Executable tests/gpu/main.rs (target/release/deps/gpu-0123)` is called gpu.
take() {
    sed -n 's/^ *Executable \(unittests src\/lib.rs\|[^ ]*\) (\(.*\))$/\1 \2/p' | while read -r source path; do
        case $source in
            unittests) name=lib path=${path#* } ;;
            *) name=$(basename "$path") name=${name%-*} ;;
        esac
        [ "$name" = main ] && name=bench
        cp "$path" "$1/$name"
    done
}
build() { cargo "$@" --no-run --color never 2>&1 | tee >(cat >&2); }

# The program comes with them; `cargo build` would compile dependencies once more, with other
# features than tests ask of them.
build test $release --tests | take "$out/tests"
case $profile in
    release) build bench --bench main ;;
    dev) build test --bench main ;;
esac | take "$out/bin"
target=${CARGO_TARGET_DIR:-target}
cp "$target/${profile/dev/debug}/secateur" "$out/bin/"
if command -v strip >/dev/null; then strip "$out"/bin/* "$out"/tests/*; fi

# What tests read, their goldens among it.
cp -r --parents Cargo.toml src tests shaders recipes fuzz/seeds "$out/project/"
# The failing driver, which its tests would compile.
cc -shared -fPIC -fvisibility=hidden -pthread tests/device_faults/vkfault.c \
    -o "$out/project/tests/device_faults/vkfault.so" 2>/dev/null ||
    echo "no Vulkan headers or no C compiler here: device_faults will need both there" >&2
cp scripts/run_packed.sh "$out/run.sh"
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
printf '{"commit": "%s", "profile": "%s", "rustc": "%s", "packed": "%s"}\n' "$commit" \
    "$profile" "$(rustc --version)" "$(date -u +%FT%TZ)" >"$out/pack.json"
du -sh "$out"
