#!/usr/bin/env bash
# Builds the Python package, installs it where there is nothing else, runs the example of its README
# and its tests. With --release it is built as it is published.
#
#     scripts/check_wheel.sh [--release]
#
# The wheel stays in target/wheels.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/build"
"$work/build/bin/pip" -q --disable-pip-version-check install maturin
rm -rf "$CARGO_TARGET_DIR/wheels"
(cd python && "$work/build/bin/maturin" build --locked "$@" --out "$CARGO_TARGET_DIR/wheels")

python3 -m venv "$work/empty"
"$work/empty/bin/pip" -q --disable-pip-version-check install "$CARGO_TARGET_DIR"/wheels/*.whl
# Not beside its source, which would be found first.
python=$PWD/python
cd "$work"
sed -n '/^```python$/,/^```$/p;/^A safetensors/q' "$python/README.md" | sed '/^```/d' >example.py
"$work/empty/bin/python" example.py
"$work/empty/bin/secateur" --version

"$work/empty/bin/pip" -q --disable-pip-version-check install pytest safetensors mypy
"$work/empty/bin/python" -m pytest -q "$python/tests"
"$work/empty/bin/mypy" --strict -p secateur
