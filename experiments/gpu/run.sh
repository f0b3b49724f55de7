#!/usr/bin/env bash
# What an accelerator does with hardneg: tests, training, GradCache, search, queue, torch.compile. See README.md.
# usage: run.sh [--smoke] [--out DIR] [--parts NAME ...]    (PYTHON=... chooses the interpreter)
set -euo pipefail
exec "${PYTHON:-python}" "$(dirname "$0")/run.py" "$@"
