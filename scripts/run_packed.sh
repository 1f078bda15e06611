#!/usr/bin/env bash
# Runs what `scripts/pack.sh` has packed: run.sh RESULTS_FOLDER [--quick]
# Tests with the adapter required, then benchmarks, `secateur bench` and `secateur devices`; their JSON, and whole logs, go into
# the results folder. Ends with 1 when a test or a benchmark failed. --quick: the host's tests, a few of the
# command line, benchmarks at a tiny size, to see that the folder is whole. Environment: as `secateur --help` lists it.
set -uo pipefail

results=$(realpath -m "${1:?usage: run.sh RESULTS_FOLDER [--quick]}")
quick=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$results/logs"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What cargo would say to the tests, and where they keep and look for things.
export CARGO_MANIFEST_DIR=$here/project CARGO_BIN_EXE_secateur=$here/bin/secateur CARGO_TARGET_TMPDIR=$scratch
export INSTA_WORKSPACE_ROOT=$here/project INSTA_UPDATE=no SECATEUR_REQUIRE_GPU=1
export HOME=${HOME:-$scratch} CRITERION_HOME=$results/criterion
cp "$here/pack.json" "$results/"
failed=0

# One object: what a test program's output says of its tests.
summary() { # NAME EXIT_CODE LOG
    awk -v name="$1" -v code="$2" '
        # The last list of failures is of names alone.
        /^failures:$/ { listing = 1; names = sep = "" }
        listing && /^    [^ ]+$/ { names = names sep "\"" $1 "\""; sep = ", " }
        /^test result: / { listing = 0; ended = 1; passed += $4; failing += $6; ignored += $8 }
        /^SKIPPED: / { skipped++ }
        END {
            if (!ended) { failing = 1; names = "\"ended with " code " before its last test\"" }
            printf "  {\"name\": \"%s\", \"passed\": %d, \"failed\": %d, \"ignored\": %d, ", name, passed, failing, ignored
            printf "\"skipped\": %d, \"exit_code\": %d, \"failures\": [%s]}", skipped, code, names
        }' "$3"
}

cd "$CARGO_MANIFEST_DIR" || exit 2
printf '[' >"$results/tests.json"
separator=
for test in "$here"/tests/*; do
    name=$(basename "$test")
    filter=()
    if [ "$quick" = --quick ]; then
        case $name in
            host) ;;
            cli) filter=(usage::devices models::every_recipe) ;;
            *) continue ;;
        esac
    fi
    printf '%s: ' "$name"
    "$test" --show-output "${filter[@]}" >"$results/logs/$name.log" 2>&1
    code=$?
    printf '%s\n' "$separator" >>"$results/tests.json"
    summary "$name" "$code" "$results/logs/$name.log" | tee -a "$results/tests.json"
    echo
    separator=,
    if [ "$code" != 0 ]; then failed=1; fi
done
printf '\n]\n' >>"$results/tests.json"

run() { # NAME COMMAND...
    local name=$1
    shift
    echo "$name"
    "$@" >"$results/logs/$name.log" 2>"$results/logs/$name.err" && return
    echo "$name failed: $(tail -1 "$results/logs/$name.err")"
    failed=1
}
cd "$scratch" || exit 2
if [ "$quick" = --quick ]; then
    SECATEUR_BENCH_JSON=$results/benches.json run benches "$here/bin/bench"
    run bench "$here/bin/secateur" bench --json --quick --plot "$results/roofline.svg"
else
    SECATEUR_BENCH_JSON=$results/benches.json run benches "$here/bin/bench" --bench
    run bench "$here/bin/secateur" bench --json --plot "$results/roofline.svg"
fi
run devices "$here/bin/secateur" devices --check --json
cp "$results/logs/bench.log" "$results/bench.json"
cp "$results/logs/devices.log" "$results/devices.json"
echo "results: $results"
exit $failed
