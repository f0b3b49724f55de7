#!/usr/bin/env bash
# Build sdist and wheel of what is committed, install the wheel into an empty environment outside the checkout, and use it
# there as a newcomer would: commands, a study of one's own, a notebook, the first page of the documentation.
#   tests/release/check.sh PYTHON        DEPENDENCIES=DIR takes them from a site-packages folder in place of an index
#                                        KEEP=DIR keeps sdist and wheel there
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
keep=${KEEP:+$(mkdir -p "$KEEP" && cd "$KEEP" && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "--- $*"; }

say "the sdist of $(git -C "$root" rev-parse --short HEAD), and the wheel that is built of it"
mkdir "$work/source" "$work/unpacked" "$work/elsewhere"
git -C "$root" archive HEAD | tar -x -C "$work/source"
"$python" -m venv "$work/build"
"$work/build/bin/python" -m pip install --quiet "setuptools>=77" wheel
(cd "$work/source" && "$work/build/bin/python" -c "from setuptools import build_meta as b; b.build_sdist('$work')" > "$work/sdist.log")
tar -x -z -C "$work/unpacked" --strip-components 1 -f "$work"/hardneg-*.tar.gz
"$work/build/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$work/unpacked"
"$python" "$root/tests/release/distributions.py" "$work/source" "$work"/hardneg-*.tar.gz "$work"/hardneg-*.whl
[ -z "$keep" ] || cp "$work"/hardneg-*.tar.gz "$work"/hardneg-*.whl "$keep"

say "into an empty environment"
here=$work/venv/bin/python
"$python" -m venv "$work/venv"
if [ -n "${DEPENDENCIES:-}" ]; then
    "$here" -m pip install --quiet --no-deps "$work"/hardneg-*.whl
    echo "$DEPENDENCIES" > "$("$here" -c 'import site; print(site.getsitepackages()[0])')/dependencies.pth"
else
    "$here" -m pip install --quiet -c "$root/constraints.txt" "$work"/hardneg-*.whl
    "$here" -m pip check
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
assert (files("hardneg.conf") / "train.yaml").is_file()
END
hardneg --version

say "commands: train, a sweep, compare, export, new"
quick="data=toy encoder.dim=16 trainer.max_epochs=1 logger=csv"
hardneg train $quick hydra.run.dir=run
hardneg train -m $quick strategy=in_batch,bm25 seed=1,2,3 hydra.sweep.dir=sweep
hardneg compare sweep --baseline in_batch-infonce
hardneg export run exported
hardneg new my_study
test -f run/summary.json -a -d exported -a -f my_study/pyproject.toml
if [ -z "${DEPENDENCIES:-}" ]; then
    "$here" -m pip install --quiet --no-deps ./my_study
    hardneg train experiment=my_study $quick hydra.run.dir=study
    test -f study/summary.json
fi

say "the first page of the documentation, its extras first"
if [ -z "${DEPENDENCIES:-}" ]; then
    "$here" -m pip install --quiet -c "$root/constraints.txt" "$(ls "$work"/hardneg-*.whl)[minilm,faiss,serve]"
    "$here" -m pip check
fi
"$here" "$root/tests/release/first_page.py" "$root/docs/get_started.md"

say "a notebook"
if [ -z "${DEPENDENCIES:-}" ]; then
    "$here" -m pip install --quiet -c "$root/constraints.txt" nbclient ipykernel pandas
fi
HARDNEG_NOTEBOOK_DATA=toy "$here" - "$root/notebooks/quickstart.ipynb" <<'END'
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
print(f"{sum(cell.cell_type == 'code' for cell in notebook.cells)} cells ran")
END
echo "release check: passed"
