#!/usr/bin/env bash
# The checkpoints of this study: a live one (A), and others that an index of A may be asked with.
# usage: train.sh OUT_FOLDER DATA_FOLDER [transformer]
set -euo pipefail
mkdir -p "$1"; out=$(realpath "$1")
common=(data=beir data.path="$(realpath "$2")" encoder=static encoder.lr=0.01 evaluate.before=false evaluate.bm25=null logger=csv)
common+=(trainer.enable_progress_bar=false trainer.max_epochs=1 cache="$out/cache")
train() { [ -e "$out/$1/summary.json" ] || hardneg train "${common[@]}" "${@:2}" hydra.run.dir="$out/$1"; }

train A encoder.init=minilm strategy=in_batch seed=1
train seed encoder.init=minilm strategy=in_batch seed=2
train negatives encoder.init=minilm strategy=bm25 seed=1
train light init_from="$out/A/checkpoints/best.ckpt" encoder.init=minilm strategy=in_batch optimizer.lr=0.0001
train on init_from="$out/A/checkpoints/best.ckpt" encoder.init=minilm strategy=bm25
train other encoder.dim=384 strategy=in_batch seed=1
train queries init_from="$out/A/checkpoints/best.ckpt" encoder.init=minilm strategy=bm25 encoder.freeze=document optimizer.lr=0.001
if [ "${3:-}" = transformer ]; then
    shipped=$(python -c "from hardneg.encoders.pretrained import locate; print(locate('minilm'))")
    [ -e "$out/minilm.ckpt" ] || hardneg import "$shipped" "$out/minilm.ckpt"
    train minilm_30 init_from="$out/minilm.ckpt" encoder=minilm encoder.lr=2e-5 strategy=bm25 batch_size=32 trainer.max_epochs=null \
        trainer.max_steps=30 split.dev=null split.test=null
fi
