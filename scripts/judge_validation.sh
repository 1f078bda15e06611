#!/usr/bin/env bash
# GPU tests under Khronos' validation layers, with checks of synchronisation: any message fails.
#
#     scripts/judge_validation.sh [--hazard] [TEST...]
#
# Without names it runs a part of the suite that has every kind of launch. --hazard judges the judge:
# a layer of our own (tests/device_faults/vkfault.c) keeps every barrier from the layers below, which
# must be reported.
#
# On Debian and Ubuntu it installs the package vulkan-validationlayers where it is missing and may;
# elsewhere install it by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

layer=VK_LAYER_KHRONOS_validation
have() {
    [ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] ||
        [ -n "${VK_LAYER_PATH:-}${VK_ADD_LAYER_PATH:-}" ]
}
if ! have; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq install -y --no-install-recommends vulkan-validationlayers >/dev/null
    else
        echo "judge: install vulkan-validationlayers, or set VK_LAYER_PATH to the layer's folder" >&2
        exit 1
    fi
fi

hazard=
if [ "${1:-}" = --hazard ]; then
    hazard=1
    shift
fi
tests=("$@")
[ $# -gt 0 ] || tests=(kernels::topk kernels::optimizers kernels::clipping kernels::elementwise
    kernels::sequences session::)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/vk_layer_settings.txt" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,perf,info
khronos_validation.log_filename = $work/messages
khronos_validation.enables = VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT,VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
END
export VK_INSTANCE_LAYERS=$layer VK_LAYER_SETTINGS_PATH=$work SECATEUR_REQUIRE_GPU=1
if [ -n "$hazard" ]; then
    cc -shared -fPIC -pthread tests/device_faults/vkfault.c -o "$work/libvkfault.so"
    cat >"$work/vkfault.json" <<END
{"file_format_version": "1.1.2", "layer": {"name": "VK_LAYER_SECATEUR_vkfault", "type": "GLOBAL",
 "library_path": "./libvkfault.so", "api_version": "1.3.0", "implementation_version": "1",
 "description": "a driver that fails"}}
END
    # The first is the nearest to the program.
    export VK_INSTANCE_LAYERS=VK_LAYER_SECATEUR_vkfault:$layer VKFAULT_NO_BARRIERS=1
    export VK_ADD_LAYER_PATH=$work${VK_ADD_LAYER_PATH:+:$VK_ADD_LAYER_PATH}
    # What the tests say of it is another matter.
    cargo test --test gpu -- "${tests[@]}" || true
else
    cargo test --test gpu -- "${tests[@]}"
fi

# The layer says itself what it looks at.
grep -qs "Enables:.*SYNCHRONIZATION" "$work/messages" ||
    { echo "judge: the layer $layer was not loaded, or does not check synchronisation" >&2; exit 1; }
grep -E "Validation (Error|Warning|Performance Warning):" "$work/messages" >"$work/left" || true
count=$(wc -l <"$work/left")
if [ -n "$hazard" ]; then
    hazards=$(grep -c "SYNC-HAZARD" "$work/left") ||
        { echo "judge: without barriers, the layers report no hazard: they do not look" >&2; exit 1; }
    grep -m 1 "SYNC-HAZARD" "$work/left" | cut -c1-600
    echo "judge: without barriers, $hazards hazards are reported"
    exit 0
fi
if [ "$count" -gt 0 ]; then
    head -50 "$work/left" | cut -c1-600
    echo "judge: $count messages of the validation layers"
    exit 1
fi
echo "judge: the validation layers have nothing to say"
