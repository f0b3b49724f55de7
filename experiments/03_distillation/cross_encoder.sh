#!/usr/bin/env bash
# The cross-encoder that teacher.sh trained, as teacher and as filter, against the same mined list without it; 3 seeds.
# usage: cross_encoder.sh DATA_FOLDER OUT_FOLDER, after teacher.sh with the same two
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
common=(data=beir data.path="$data" encoder=static encoder.init=minilm optimizer.lr=0.01 trainer.max_epochs=2)
common+=(batch_size=128 evaluate.before=false evaluate.bm25=null logger=csv seed=1,2,3)
sweep() { hardneg train -m "${common[@]}" hydra.sweep.dir="$out/$1" "${@:2}"; }

# Few candidates a query: each is scored once by the cross-encoder, and all arms share the scores.
mined=(negatives.mined.miner.ckpt_path="$out/student/checkpoints/best.ckpt" negatives.mined.k=4)
mined+=(negatives.mined.depth=10 negatives.mined.pool=10)
both=('negatives=[in_batch,mined]' "${mined[@]}")
taught=(teacher=cross_encoder teacher.model="$out/teacher/teacher" teacher.max_length=64)
sweep mined "${both[@]}"
sweep kl "${both[@]}" "${taught[@]}" 'loss=[infonce,kl]'
sweep teacher_score "${both[@]}" "${taught[@]}" 'filter=[known_positives,teacher_score]' filter.teacher_score.margin=1 \
    filter.teacher_score.at=live
sweep margin_mse "${both[@]}" "${taught[@]}" 'loss=[infonce,margin_mse]' loss.margin_mse.scale=20 loss.margin_mse.weight=0.1

base='in_batch+mined-infonce filter=known_positives'
primary=("$base+teacher_score" in_batch+mined-infonce+kl in_batch+mined-infonce+margin_mse)
hardneg compare "$out"/{mined,kl,teacher_score,margin_mse} --baseline "$base" --primary "${primary[@]}" \
    --metric ndcg@10,recall@100 --markdown "$here/$name-by-cross-encoder.md"
