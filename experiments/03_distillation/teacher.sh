#!/usr/bin/env bash
# A student, and a cross-encoder that is trained on its mined negatives and ranks its first 20 again.
# usage: teacher.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2
common=(data=beir data.path="$data" logger=csv)
hardneg train "${common[@]}" encoder=static encoder.init=minilm optimizer.lr=0.01 trainer.max_epochs=3 \
    evaluate.before=false hydra.run.dir="$out/first"
ckpt=$out/first/checkpoints/best.ckpt
hardneg train-teacher "${common[@]}" 'negatives=[mined,bm25]' negatives.mined.miner.ckpt_path="$ckpt" \
    negatives.mined.k=2 negatives.mined.depth=20 negatives.bm25.k=1 negatives.bm25.depth=20 encoder.layers=3 \
    encoder.max_length=64 encoder.lr=1e-4 trainer.max_epochs=1 split.dev=null evaluate.depth=20 \
    evaluate.bm25._target_=hardneg.mining.dense.Dense +evaluate.bm25.ckpt_path="$ckpt" hydra.run.dir="$out/teacher"
hardneg compare "$out/first" "$out/teacher" --baseline in_batch-infonce
