#!/usr/bin/env bash
# One teacher, one mined list, seven ways to train on it; 3 seeds on one BEIR folder.
# usage: run.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
common=(data=beir data.path="$data" encoder=static encoder.init=minilm optimizer.lr=0.01 trainer.max_epochs=2)
common+=(batch_size=128 evaluate.before=false evaluate.bm25=null logger=csv seed=1,2,3)
sweep() { hardneg train -m "${common[@]}" hydra.sweep.dir="$out/$1" "${@:2}"; }

# What in-batch training makes of the student mines for all others, once; the teacher is MiniLM as it ships.
sweep in_batch negatives=in_batch
ckpt=$(ls -d "$out"/in_batch/0_*/checkpoints/best.ckpt)
mined=(negatives.mined.miner.ckpt_path="'$ckpt'" negatives.mined.k=4 negatives.mined.depth=50 negatives.mined.pool=20)
both=('negatives=[in_batch,mined]' "${mined[@]}")
taught=(teacher=bi_encoder +encoder@teacher.encoder=minilm)
sweep mined "${both[@]}"
sweep kl "${both[@]}" "${taught[@]}" 'loss=[infonce,kl]'
sweep teacher_score "${both[@]}" "${taught[@]}" 'filter=[known_positives,teacher_score]' filter.teacher_score.margin=1 \
    filter.teacher_score.at=live
sweep margin_mse "${both[@]}" "${taught[@]}" 'loss=[infonce,margin_mse]' loss.margin_mse.scale=20 loss.margin_mse.weight=0.1
sweep relative_margin "${both[@]}" 'filter=[known_positives,relative_margin]'
sweep kl_alone negatives=mined "${mined[@]}" "${taught[@]}" loss=kl

# The teacher's own ranking: MiniLM, untouched by a step of size zero.
hardneg train data=beir data.path="$data" encoder=minilm optimizer.lr=0 trainer.max_steps=1 split.dev=null \
    evaluate.before=false evaluate.bm25=null logger=csv seed=1 hydra.run.dir="$out/teacher"
arms=("$out"/{in_batch,mined,kl,teacher_score,margin_mse,relative_margin,kl_alone})
base='in_batch+mined-infonce filter=known_positives'
primary=("$base+teacher_score" in_batch+mined-infonce+kl in_batch+mined-infonce+margin_mse)
hardneg compare "${arms[@]}" --baseline "$base" --primary "${primary[@]}" --metric ndcg@10,recall@100 \
    --markdown "$here/$name.md"
hardneg compare "$out/teacher" "$out/in_batch" --markdown "$here/$name-teacher.md"
