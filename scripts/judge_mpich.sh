#!/usr/bin/env bash
# The tests of ranks that are processes, on MPICH instead of the library that `mpicc` stands for.
#
#     scripts/judge_mpich.sh [TEST...]
#
# On Debian and Ubuntu it installs the packages mpich and libmpich-dev where they are missing and it
# may; elsewhere name MPICH's compiler in MPICC and its launcher in SECATEUR_MPIRUN. The build has a
# folder of its own, target/mpich.
set -euo pipefail
cd "$(dirname "$0")/.."

export MPICC=${MPICC:-mpicc.mpich} SECATEUR_MPIRUN=${SECATEUR_MPIRUN:-mpirun.mpich}
if ! command -v "$MPICC" >/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq install -y --no-install-recommends mpich libmpich-dev >/dev/null
    else
        echo "judge: install mpich and libmpich-dev, or set MPICC and SECATEUR_MPIRUN" >&2
        exit 1
    fi
fi
"$SECATEUR_MPIRUN" --version | head -n 2
CARGO_TARGET_DIR=target/mpich SECATEUR_REQUIRE_TOOLS=1 \
    cargo test --features mpi --test mpi -- --nocapture "$@"
