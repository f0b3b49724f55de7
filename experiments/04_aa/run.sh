#!/usr/bin/env bash
# The A/A check: one arm trained with 120 seeds; two arms that are drawn from it at random must not differ.
# usage: run.sh OUT_FOLDER
set -euo pipefail
out=$1 here=$(dirname "$0")
hardneg train -m data=toy data.queries=3000 data.docs=9000 data.dev_share=0 data.test_share=0.6 split.dev=null \
    encoder=static encoder.dim=64 encoder.lr=0.01 batch_size=64 strategy=in_batch trainer.max_epochs=5 'seed=range(1,121)' \
    evaluate.before=false evaluate.bm25=null 'evaluate.metrics=[ndcg@10]' evaluate.depth=10 logger=csv \
    trainer.enable_progress_bar=false hydra.sweep.dir="$out"
python "$here/splits.py" "$out" --markdown "$here/splits.md"
