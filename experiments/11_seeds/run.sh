#!/usr/bin/env bash
# Writes equal_arms.md: about ten minutes on one core.
set -euo pipefail
cd "$(dirname "$0")"
OMP_NUM_THREADS=1 ${PYTHON:-python} simulate.py "${1:-600}" > equal_arms.md
