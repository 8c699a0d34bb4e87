#!/usr/bin/env bash
# Builds the source distribution and, from that, the wheels of this system into dist: with compiled modules for the
# Python of .venv-release, and without. Then it checks what is in them. `make wheels` makes the environment.
set -eu
cd "$(dirname "$0")/.."
test -x .venv-release/bin/python || make .venv-release/installed
bin=$PWD/.venv-release/bin
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
export PIP_CACHE_DIR="$PWD/.venv/pip-cache" PIP_DISABLE_PIP_VERSION_CHECK=1

# What an earlier build left beside the sources would be taken for ours, so it builds in a copy.
mkdir "$work/source"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -xf - -C "$work/source"
cd "$work/source"
"$bin/python" -m build --installer pip --sdist --outdir "$work/dist" . >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
mkdir "$work/unpacked"
tar -xzf "$work"/dist/*.tar.gz --strip-components=1 -C "$work/unpacked"

# build_wheel: builds a wheel of what the source distribution holds.
build_wheel() {
    (cd "$work/unpacked" && "$bin/python" -m build --wheel --outdir "$work/built" . >"$work/log" 2>&1) ||
        { cat "$work/log"; exit 1; }
}
TB2CSV_REQUIRE_EXT=1 build_wheel
"$bin/abi3audit" --strict --summary "$work"/built/*.whl
# It names the oldest Linux that a wheel is for.
if test -x "$bin/auditwheel"; then
    PATH="$bin:$PATH" "$bin/auditwheel" repair --wheel-dir "$work/dist" "$work"/built/*.whl
else
    cp "$work"/built/*.whl "$work/dist"
fi
rm -r "$work/built" "$work/unpacked/build"
TB2CSV_SKIP_EXT=1 build_wheel
cp "$work"/built/*.whl "$work/dist"

"$bin/twine" --no-color check --strict "$work"/dist/*
"$bin/check-wheel-contents" "$work"/dist/*.whl
if test -x "$bin/cibuildwheel"; then
    for platform in linux macos windows; do
        "$bin/cibuildwheel" --print-build-identifiers --platform "$platform" "$work/unpacked"
    done
fi
cd - >/dev/null
rm -rf dist
mkdir dist
cp "$work"/dist/* dist
ls -l dist
