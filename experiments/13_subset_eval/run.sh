#!/usr/bin/env bash
# Trains 2 sets x 2 sizes of the subset x 3 arms for one epoch each with ten dev points, then one run that stops early,
# and writes subset_eval.md. DATA holds nl2bash/ and medquad/ in BEIR's layout.
set -euo pipefail
data=$(realpath "${1:?usage: run.sh DATA [OUT]}") out=$(realpath -m "${2:-/tmp/subset_eval}")
cd "$(dirname "$0")"
export PYTHONPATH=$PWD HARDNEG_TARGETS=both. OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
hardneg=${HARDNEG:-hardneg}
common=(data=beir encoder=static loss=infonce trainer.max_epochs=1 batch_size=64 optimizer.lr=0.02 logger=csv
  trainer.enable_progress_bar=false evaluate.documents=subset)

train() {  # FOLDER SETTING ...: what is done already is left alone
  [ -f "$1/summary.json" ] && return
  "$hardneg" train "${common[@]}" "hydra.run.dir=$1" "${@:2}" 2>&1 | { grep -E "dev is ranked|dev ndcg|rror" || true; }
}

declare -A every=([nl2bash]=14 [medquad]=18)   # a tenth of an epoch

for size in ${SIZES:-small middle}; do
  case $size in
    small) sizes=(evaluate.subset.bm25=5 evaluate.subset.model=5 evaluate.subset.size=0) ;;
    middle) sizes=(evaluate.subset.bm25=20 evaluate.subset.model=20 evaluate.subset.size=0) ;;
  esac
  for set in nl2bash medquad; do
    for arm in in_batch bm25 seed2; do
      case $arm in
        in_batch) more=('negatives=[in_batch]' seed=1) ;;
        bm25) more=('negatives=[in_batch,bm25]' seed=1) ;;
        seed2) more=('negatives=[in_batch]' seed=2) ;;
      esac
      train "$out/$set-$size-$arm" "data.path=$data/$set" "${sizes[@]}" "${more[@]}" \
        "evaluate.every_n_steps=${every[$set]}" '+callbacks.both={_target_: both.Both}'
    done
  done
done
train "$out/early" "data.path=$data/nl2bash" 'negatives=[in_batch,bm25]' evaluate.every_n_steps=14 trainer.max_epochs=8 \
  evaluate.subset.bm25=5 evaluate.subset.model=5 evaluate.subset.size=0 schedule=constant optimizer.lr=0.05 \
  '+callbacks.stop={_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/ndcg@10, mode: max, patience: 3}'
${PYTHON:-python} table.py "$out" > subset_eval.md
