#!/usr/bin/env bash
# Does the built wheel work by itself? Builds it, installs it with its declared dependencies into an empty environment, and
# from another folder simulates hosts and paints one scar: so code, templates, weights and dependencies must all be declared.
#
# The environment is truly empty (no site-packages are borrowed), because a borrowed one would hide a missing dependency.
# pip's cache, which the project's own installation has just filled, keeps that to about a minute and a half.
#
#   PYTHON    interpreter with `build` and `hatchling` (default .venv/bin/python)
#   PIP_ARGS  more options for pip
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
python=${PYTHON:-.venv/bin/python}
# As in the Makefile, so that the script also works when it is called by itself.
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$root/.venv/cache/pip} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} HF_HUB_OFFLINE=1

area=$root/build/wheel-check
elsewhere=$(mktemp -d)
trap 'rm -rf "$area" "$elsewhere"' EXIT
rm -rf "$area"
mkdir -p "$area"

echo "wheel check: building"
"$python" -m build --wheel --no-isolation --outdir "$area" . >"$area/build.log" 2>&1 || { cat "$area/build.log"; exit 1; }
wheel=$(ls "$area"/*.whl)

echo "wheel check: installing $(basename "$wheel") ($(du -h "$wheel" | cut -f1)) into an empty environment"
"$python" -m venv "$area/venv"
# shellcheck disable=SC2086  # PIP_ARGS is a list of options
"$area/venv/bin/python" -m pip install --quiet -c constraints.txt ${PIP_ARGS:-} torch
# shellcheck disable=SC2086
"$area/venv/bin/python" -m pip install --quiet -c constraints.txt ${PIP_ARGS:-} "$wheel"
"$area/venv/bin/python" -m pip check

cd "$elsewhere"
unset PYTHONPATH
export PYTHONNOUSERSITE=1 MPLCONFIGDIR=$elsewhere/matplotlib XDG_CACHE_HOME=$elsewhere/cache HF_HOME=$elsewhere/huggingface
found=$("$area/venv/bin/python" -c 'import lgesynthnet; print(lgesynthnet.__path__[0])')
case $found in
  "$area"/venv/*) ;;
  *) echo "wheel check: lgesynthnet was imported from $found, not from the wheel" >&2; exit 1 ;;
esac

lgesynthnet=$area/venv/bin/lgesynthnet
"$lgesynthnet" info
"$lgesynthnet" phantom hosts --patients 2 --positive 0 --seed 1
"$lgesynthnet" synthesize --hosts hosts --model phantom --prior ischaemic --count 1 --seed 1 --keep-all --out run
for made in run/samples.csv run/report.html run/card.md run/plan.json run/ledger.sqlite; do
  [ -s "$made" ] || { echo "wheel check: $made is missing" >&2; exit 1; }
done
[ -n "$(find run/images -name '*.nii.gz')" ] || { echo "wheel check: nothing was painted" >&2; exit 1; }
echo "wheel check: passed"
