#!/usr/bin/env bash
# Trains the checkpoints, asks indexes with wrong ones, opens fresh ones a thousand times, and makes shards stale.
# usage: run.sh OUT_FOLDER DATA_FOLDER [transformer]
set -euo pipefail
mkdir -p "$1"; out=$(realpath "$1") data=$(realpath "$2") here=$(realpath "$(dirname "$0")") name=$(basename "$2")
"$here/train.sh" "$out" "$data" "${3:-}"
python "$here/measure.py" "$out" "$data" --markdown "$here/$name.md"
if [ "${3:-}" = transformer ]; then
    python "$here/measure.py" "$out" "$data" --live minilm --others minilm_30 A --markdown "$here/$name-minilm.md"
    python "$here/openings.py" "$out" "$data" --markdown "$here/openings.md"
    python "$here/stale_shards.py" "$out" "$data" --markdown "$here/stale_shards.md"
fi
