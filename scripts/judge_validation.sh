#!/usr/bin/env bash
# GPU tests under Khronos' validation layers, with checks of synchronisation: any message fails.
#
#     scripts/judge_validation.sh [TEST...]
#
# Without names it runs a part of the suite that has every kind of launch. On Debian and Ubuntu it
# installs the package vulkan-validationlayers where it is missing and may; elsewhere install it by
# hand.
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
cargo test --test gpu -- "${tests[@]}"

# The layer says itself what it looks at.
grep -qs "Enables:.*SYNCHRONIZATION" "$work/messages" ||
    { echo "judge: the layer $layer was not loaded, or does not check synchronisation" >&2; exit 1; }
grep -E "Validation (Error|Warning|Performance Warning):" "$work/messages" >"$work/left" || true
count=$(wc -l <"$work/left")
if [ "$count" -gt 0 ]; then
    cut -c1-600 "$work/left" | head -50
    echo "judge: $count messages of the validation layers"
    exit 1
fi
echo "judge: the validation layers have nothing to say"
