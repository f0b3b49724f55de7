#!/usr/bin/env bash
# Build the wheel of what is committed, install it into an empty environment outside the checkout, and train from there.
#   tests/release_check.sh PYTHON        DEPENDENCIES=DIR takes them from a site-packages folder in place of an index
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/source" "$work/elsewhere"
git -C "$root" archive HEAD | tar -x -C "$work/source"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source"
wheel=$(ls "$work"/hardneg-*.whl)
echo "$(basename "$wheel"): $(stat -c %s "$wheel") bytes"

"$python" -m venv "$work/venv"
if [ -n "${DEPENDENCIES:-}" ]; then
    "$work/venv/bin/python" -m pip install --quiet --no-deps "$wheel"
    echo "$DEPENDENCIES" > "$("$work/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/dependencies.pth"
else
    "$work/venv/bin/python" -m pip install --quiet -c "$root/constraints.txt" "$wheel"
fi

cd "$work/elsewhere"
export PATH="$work/venv/bin:$PATH" HARDNEG_CACHE="$work/cache" WANDB_MODE=offline
unset PYTHONPATH
python - "$work/venv" <<'END'
import sys
from importlib.metadata import version
from importlib.resources import files

import hardneg

assert hardneg.__file__.startswith(sys.argv[1]), hardneg.__file__
assert hardneg.__version__ == version("hardneg")
for name in ("py.typed", "study_template", "ab/report.html"):
    assert (files("hardneg") / name).is_file() or (files("hardneg") / name).is_dir(), f"{name} is not in the wheel"
assert (files("hardneg.conf") / "train.yaml").is_file()
END
hardneg --version
hardneg train data=toy encoder.dim=16 trainer.max_epochs=1 logger=csv hydra.run.dir=run
hardneg train -m data=toy encoder.dim=16 trainer.max_epochs=1 logger=csv strategy=in_batch,bm25 seed=1,2,3 hydra.sweep.dir=sweep
hardneg compare sweep --baseline in_batch-infonce
hardneg export run my-encoder
hardneg new my_study
test -f run/summary.json -a -d my-encoder -a -f my_study/pyproject.toml
echo "release check: passed"
