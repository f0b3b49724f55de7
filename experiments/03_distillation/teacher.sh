#!/usr/bin/env bash
# A cross-encoder on one BEIR folder, and whether it ranks the student's own first 20 better than the student does.
# usage: teacher.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
set_up=(data=beir data.path="$data" logger=csv seed=1)
hardneg train "${set_up[@]}" encoder=static encoder.init=minilm batch_size=64 optimizer.lr=0.01 trainer.max_epochs=3 \
    negatives=in_batch evaluate.before=false evaluate.bm25=null hydra.run.dir="$out/student"
ckpt=$out/student/checkpoints/best.ckpt
hardneg train-teacher "${set_up[@]}" 'negatives=[mined,bm25]' negatives.mined.miner.ckpt_path="$ckpt" \
    negatives.mined.k=2 negatives.mined.depth=20 negatives.bm25.k=1 negatives.bm25.depth=20 \
    encoder.layers=3 encoder.max_length=64 encoder.lr=1e-4 trainer.max_epochs=1 split.dev=null evaluate.depth=20 \
    evaluate.bm25._target_=hardneg.mining.dense.Dense +evaluate.bm25.ckpt_path="$ckpt" hydra.run.dir="$out/teacher"
hardneg compare "$out" --baseline in_batch-infonce --markdown "$here/$name-cross-encoder.md"
