#!/usr/bin/env bash
# Install the wheel with every extra that fits together into an empty environment, with the versions that the tests ran with,
# import all of them in one process, and train.
#   tests/release/extras.sh PYTHON        WHEEL=FILE takes a wheel that is there (KEEP=dist make release-check leaves one)
#                                         NEWEST=1 takes the newest versions instead
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "--- $*"; }

if [ -z "${WHEEL:-}" ]; then
    mkdir "$work/source"
    git -C "$root" archive HEAD | tar -x -C "$work/source"
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source"
    WHEEL=$(ls "$work"/hardneg-*.whl)
fi
WHEEL=$(cd "$(dirname "$WHEEL")" && pwd)/$(basename "$WHEEL")

say "$(basename "$WHEEL")[all], in an empty environment"
here=$work/venv/bin/python
"$python" -m venv "$work/venv"
if [ -n "${NEWEST:-}" ]; then
    "$here" -m pip install --quiet "$WHEEL[all]"
else
    "$here" -m pip install --quiet -c "$root/constraints.txt" "$WHEEL[all]"
fi
"$here" -m pip check
echo "$("$here" -m pip list --format freeze | wc -l) packages, $(du -sm "$work/venv" | cut -f 1) MB"

mkdir "$work/elsewhere"
cd "$work/elsewhere"
export PATH="$work/venv/bin:$PATH" HARDNEG_CACHE="$work/cache" WANDB_MODE=offline
unset PYTHONPATH

say "what each extra brings"
python "$root/tests/release/extras.py" all

say "commands"
hardneg --help > help.txt
grep -q train help.txt
hardneg train data=toy encoder=static logger=csv trainer.max_epochs=1 hydra.run.dir=run
test -f run/summary.json
echo "extras check: passed"
