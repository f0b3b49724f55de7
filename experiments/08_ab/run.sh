#!/usr/bin/env bash
# Three candidates to replace an encoder that is live: trained with BM25 negatives from the same start; trained on from the
# live one; and trained on by its queries alone, so that the index stays. Each goes through `hardneg ab` with the same gate.
# usage: run.sh OUT_FOLDER DATA_FOLDER [OPTION...], options of hardneg ab such as --no-texts
set -uo pipefail
mkdir -p "$1"; out=$(realpath "$1") here=$(realpath "$(dirname "$0")")
common=(data=beir data.path="$(realpath "$2")" encoder=static encoder.init=minilm batch_size=64 trainer.max_epochs=2 evaluate.before=false)
common+=(encoder.lr=0.01 evaluate.bm25=null logger=csv trainer.enable_progress_bar=false)
live=(init_from="$out/live/checkpoints/best.ckpt" strategy=bm25)
train() { # NAME WORD...; what is finished is not trained again
    [ -e "$out/$1/summary.json" ] || hardneg train "${common[@]}" "${@:2}" hydra.run.dir="$out/$1"
}
train live strategy=in_batch
train bm25 strategy=bm25
train both_sides "${live[@]}"
for lr in 0.01 0.001 0.0003; do
    train queries_$lr "${live[@]}" encoder.freeze=document optimizer.lr=$lr
done
cd "$out" || exit
for candidate in bm25 both_sides queries_0.01 queries_0.001 queries_0.0003; do
    hardneg ab live $candidate --cluster-positives --gate-delta -0.01 --gate-lost 0.05 --gate-slice -0.02 \
        --examples 5 "${@:3}" --markdown $candidate.md --html $candidate.html --json $candidate.json
    echo "$candidate: exit code $?"
done
cp queries_0.01.md "$here/$(basename "$2")-queries_0.01.md"
