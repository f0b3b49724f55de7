#!/usr/bin/env bash
# 3 sources x 2 losses x 2 seeds on one BEIR folder, by one multirun command; then the comparison.
# usage: run.sh DATA_FOLDER OUT_FOLDER
set -euo pipefail
data=$1 out=$2 name=$(basename "$1") here=$(dirname "$0")
hardneg train -m data=beir data.path="$data" encoder=static encoder.init=minilm batch_size=64 optimizer.lr=0.01 trainer.max_epochs=3 \
    strategy=in_batch,random,bm25 loss=infonce,triplet seed=1,2 \
    hydra.sweep.dir="$out" logger.wandb.dir="$out"
hardneg compare "$out" --baseline in_batch-infonce --markdown "$here/$name.md"
