#!/usr/bin/env bash
# In-batch, BM25 and model-mined negatives, the last without filters and with each; 3 seeds on one BEIR folder.
# Then the comparison and the false-negative probe of the same lists.
# usage: run.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
set_up=(data=beir data.path="$data" encoder=static encoder.init=minilm batch_size=64)
lists=(negatives.mined.k=4 negatives.mined.depth=100 negatives.mined.pool=20)
common=("${set_up[@]}" optimizer.lr=0.01 trainer.max_epochs=3 evaluate.before=false logger=csv)
sweep() { hardneg train -m "${common[@]}" seed=1,2,3 hydra.sweep.dir="$out/$1" "${@:2}"; }

sweep in_batch strategy=in_batch
sweep bm25 strategy=bm25 negatives.bm25.pool=20
for filter in '[]' '[known_positives]' '[known_positives,rank_window]' '[known_positives,score_window]' \
    '[known_positives,absolute_margin]' '[known_positives,relative_margin]' '[known_positives,duplicates]' \
    '[known_positives,in_batch_margin]'; do
    sweep "mined_${filter//[^a-z_]/}" 'negatives=[in_batch,mined]' "${lists[@]}" "filter=$filter"
done
hardneg compare "$out" --baseline in_batch-infonce --markdown "$here/$name.md"
hardneg compare "$out" --baseline in_batch-infonce --metric recall@100 --markdown "$here/$name-recall.md"

# The probe ranks with what in-batch training made of the tower, and hides half of the positives of queries with several.
ckpt=$(ls -d "$out"/in_batch/0_*/checkpoints/best.ckpt)
hardneg probe data=beir data.path="$data" ckpt_path="'$ckpt'" 'negatives=[bm25,mined]' negatives.bm25.pool=20 \
    "${lists[@]}" 'filter=[known_positives,rank_window,score_window,absolute_margin,relative_margin]' \
    hydra.run.dir="$out/probe"
cp "$out/probe/probe.md" "$here/$name-probe.md"
