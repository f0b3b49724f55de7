#!/usr/bin/env bash
# Data arrive in four parts. Three ways to keep a model: leave it as it is, renew it (hardneg renew), train it anew each time.
# usage: run.sh OUT_FOLDER DATA_FOLDER SEED...
set -euo pipefail
out=$(mkdir -p "$1" && realpath "$1") data=$(realpath "$2") here=$(realpath "$(dirname "$0")")
shift 2
common=(encoder=static encoder.init=minilm encoder.lr=0.01 batch_size=64 evaluate.before=false evaluate.bm25=null logger=csv)
common+=(trainer.enable_progress_bar=false)
python "$here/arrivals.py" "$data" "$out/data"
for seed in "$@"; do
    mkdir -p "$out/$seed" && cd "$out/$seed"
    # The first model, live from the first date on: an epoch of in-batch negatives, and two on what it then finds hard.
    first=(strategy=mined negatives.mined.k=2 remine.warmup_epochs=1 trainer.max_epochs=3 seed="$seed")
    finished() { [ -e "$1/summary.json" ]; }
    finished first || hardneg train "${common[@]}" data=beir data.path="$out/data/1" "${first[@]}" hydra.run.dir=first
    [ -e index ] ||
        hardneg index ckpt_path=first/checkpoints/best.ckpt data=beir data.path="$out/data/1" index.path=index
    for date in 2 3 4; do
        now=(data=beir data.path="$out/data/$date")
        finished left_$date || hardneg evaluate ckpt_path=first/checkpoints/best.ckpt "${now[@]}" evaluate.bm25=null \
            hydra.run.dir=left_$date
        finished anew_$date || hardneg train "${common[@]}" "${now[@]}" "${first[@]}" hydra.run.dir=anew_$date
        # Trained for one epoch instead of three; --switch, since nobody sits here to look at the report.
        grep -qs "^gate: " renew_$date.log || hardneg renew index data.path="$out/data/$date" seed="$seed" logger=csv \
            trainer.enable_progress_bar=false --switch 2>&1 | tee renew_$date.log || echo "not switched: exit code $?"
    done
done
python "$here/table.py" "$out" "$@" > "$here/$(basename "$data").md"
