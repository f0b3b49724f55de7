#!/usr/bin/env bash
# Tunes on the dev queries of four sets, judges old and new defaults on the test queries of four others, and writes the
# tables. What is done is not done again. DATA_FOLDER holds the sets in BEIR's layout, a folder each.
# usage: run.sh DATA_FOLDER [OUT_FOLDER] [STEP...]      (steps: batch seconds temperature_warmup bm25 mined judge_batch judge
#                                                     rate_steps judge_rate presets grid judge_grid
#                                                     judge_rate_scratch minilm judge_minilm
#                                                     explore_minilm judge_explored_minilm
#                                                     minilm_batch judge_minilm_batch)
set -euo pipefail
data=$(realpath "${1:?usage: run.sh DATA_FOLDER [OUT_FOLDER] [STEP...]}") out=$(realpath -m "${2:-/tmp/defaults}")
cd "$(dirname "$0")"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
"${PYTHON:-python}" study.py "$data" "$out" "${@:3}"
"${PYTHON:-python}" table.py "$out" tuned > tuned.md
"${PYTHON:-python}" table.py "$out" judged > judged.md
"${PYTHON:-python}" table.py "$out" rates > rates.md
"${PYTHON:-python}" table.py "$out" presets > presets.md
"${PYTHON:-python}" table.py "$out" grid > grid.md
"${PYTHON:-python}" table.py "$out" minilm > minilm.md
"${PYTHON:-python}" table.py "$out" minilm_unused > minilm_unused.md
"${PYTHON:-python}" table.py "$out" minilm_batch > minilm_batch.md
