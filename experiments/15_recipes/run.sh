#!/usr/bin/env bash
# Trains every small recipe and its in-batch baseline of the same steps, seeds 1 and 2, and writes SET.md.
# What is done is left alone; a run or a recipe in stages that was interrupted goes on.
# usage: run.sh DATA_FOLDER [OUT_FOLDER] [RECIPE...]
set -euo pipefail
data=$(realpath "${1:?usage: run.sh DATA_FOLDER [OUT_FOLDER] [RECIPE...]}") out=$(realpath -m "${2:-/tmp/recipes}")
cd "$(dirname "$0")"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PATH="$(dirname "$(command -v "${PYTHON:-python}")"):$PATH"
set=$(basename "$data")
for seed in ${SEEDS:-1 2}; do
  python arms.py "$data" "$out/$set" "$seed" "${@:3}" | while read -r folder command; do
    [ -f "$folder/summary.json" ] || [ -f "$folder/done" ] && continue
    mkdir -p "$folder"
    echo "$folder"
    if eval "hardneg $command" >> "$folder/said.log" 2>&1; then
      touch "$folder/done"
      find "$folder" -name '*.ckpt' -delete  # half a gigabyte a run, tested already
    else
      echo "  failed: see $folder/said.log"
    fi
  done
done
python table.py "$out/$set" > "$set.md"
