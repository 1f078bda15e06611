#!/usr/bin/env bash
# The GPU tests on SwiftShader, a second implementation of Vulkan that shares nothing with Mesa.
#
#     scripts/judge_swiftshader.sh [--quick | --whole | TEST...]
#
# --quick, the default, runs selection, scores, optimizers, masks and the self-test; --whole runs the
# whole suite, which took 43 minutes on a loaded machine; names run those tests.
#
# SwiftShader comes from Debian's package chromium-common, of which only its two files are taken;
# nothing is installed. Elsewhere give the path of its vk_swiftshader_icd.json in SWIFTSHADER_ICD.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
icd=${SWIFTSHADER_ICD:-$target/judge/usr/lib/chromium/vk_swiftshader_icd.json}
if [ ! -e "$icd" ]; then
    if ! apt-cache show chromium-common >/dev/null 2>&1; then
        echo "judge: no package chromium-common here: set SWIFTSHADER_ICD to a" \
            "vk_swiftshader_icd.json, which Chrome and Chromium bring along" >&2
        exit 1
    fi
    mkdir -p "$target/judge"
    (
        cd "$target/judge"
        apt-get -qq download chromium-common
        dpkg-deb --fsys-tarfile chromium-common_*.deb | tar -xf - \
            ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json
        rm chromium-common_*.deb
    )
fi

tests=("$@")
case "${1:---quick}" in
--quick)
    tests=(kernels::topk kernels::scores kernels::optimizers kernels::patterns
        kernels::histogram_threshold kernels::clipping kernels::unit_floor kernels::nan
        --skip ten_million)
    ;;
--whole)
    tests=()
    # A barrier is a change of coroutine there, so that 65,537 workgroups may take minutes.
    export SECATEUR_TIMEOUT=${SECATEUR_TIMEOUT:-1200}
    ;;
esac
export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd SECATEUR_ADAPTER=swiftshader
# SwiftShader has no 16-bit floats.
export SECATEUR_REQUIRE_GPU=1 SECATEUR_REQUIRE_HALVES=0
# Its compiler takes much memory: not as many tests at once as there are cores.
cargo test --test gpu -- --test-threads=2 "${tests[@]}"
