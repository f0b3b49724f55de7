#!/usr/bin/env bash
# 6 strategies x 2 losses x 3 seeds on one BEIR folder by one multirun command, then one comparison. Asked again, it runs
# only what is missing.
# usage: run.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
hardneg train -m data=beir data.path="$data" encoder=static encoder.init=minilm optimizer.lr=0.01 batch_size=128 \
    trainer.max_epochs=3 strategy=in_batch,random,bm25,bm25_random,mined,easy_to_hard loss=infonce,triplet seed=1,2,3 \
    hydra.sweep.dir="$out" logger.wandb.dir="$out"
hardneg compare "$out" --baseline in_batch-infonce --metric ndcg@10,recall@100 --margin 0.01 \
    --markdown "$here/$name.md" --csv "$here/$name.csv" --figures "$here/figures"
