#!/usr/bin/env bash
# Tunes batch, rate, temperature and the presets of BM25 and mined negatives on the dev queries of four sets, one seed, and
# judges old and new defaults on the test queries of four others, three seeds. What is done is not done again.
# usage: run.sh DATA_FOLDER [OUT_FOLDER]      (DATA_FOLDER holds the sets in BEIR's layout, a folder each)
set -euo pipefail
data=$(realpath "${1:?usage: run.sh DATA_FOLDER [OUT_FOLDER]}") out=$(realpath -m "${2:-/tmp/defaults}")
cd "$(dirname "$0")"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
hardneg=${HARDNEG:-hardneg}
tuned=${TUNED:-or-sharc scifact nl2bash medquad} judged=${JUDGED:-conala nfcorpus-proc obliqa squad-sent}
common=(data=beir data.dev_share=0.2 encoder=static encoder.init=minilm logger=csv evaluate.before=false
  evaluate.bm25=null trainer.enable_progress_bar=false)
strict='filter=[known_positives,relative_margin]' window='filter=[known_positives,rank_window]'
both='filter=[known_positives,relative_margin,rank_window]'

sweep() {  # STEP SET WORDS...: the checkpoints are not needed any more, 200 MB a run
  "$hardneg" train -m "${common[@]}" "data.path=$data/$2" "hydra.sweep.dir=$out/$1/$2" "${@:3}"
  find "$out/$1/$2" -name '*.ckpt' -delete
}
tune() { sweep "$1" "$2" seed=1 split.test=null evaluate.every_n_epochs="${EPOCHS:-3}" trainer.max_epochs="${EPOCHS:-3}" "${@:3}"; }
part() { [ "$1" = medquad ] || [ "$1" = squad-sent ] && echo +trainer.limit_train_batches=0.4; return 0; }  # of large sets

step_batch() {
  for set in $tuned; do
    case $set in
      medquad) tune batch $set batch_size=64,256 optimizer.lr=0.005,0.01 ;;
      *) tune batch $set batch_size=64,128,256,512 optimizer.lr=0.005,0.01,0.02 ;;
    esac
  done
}
step_seconds() {  # as many epochs as take the seconds of 3 with a batch of 64
  for set in or-sharc scifact nl2bash; do
    EPOCHS=8 tune seconds $set batch_size=256 optimizer.lr=0.005,0.01
  done
}
step_temperature() {
  for set in $tuned; do tune temperature $set batch_size=auto loss.infonce.temperature=0.03,0.05,0.1 $(part $set); done
}
step_warmup() { for set in $tuned; do tune warmup $set batch_size=auto schedule.warmup=0,0.3 $(part $set); done; }
step_bm25() {
  for set in $tuned; do
    tune bm25 $set batch_size=auto strategy=bm25 negatives.bm25.k=1,2,4 $(part $set)
    tune bm25 $set batch_size=auto strategy=bm25 "$window" negatives.bm25.k=1,4 $(part $set)
    tune bm25 $set batch_size=auto strategy=random negatives.random.k=4 $(part $set)
  done
}
step_mined() {
  for set in $tuned; do
    tune mined $set batch_size=auto strategy=mined negatives.mined.k=1,4 remine.warmup_epochs=0,1 $(part $set)
    tune mined $set batch_size=auto strategy=mined filter.relative_margin.margin=0.2 negatives.mined.k=4 remine.warmup_epochs=1 $(part $set)
    tune mined $set batch_size=auto strategy=mined "$both" negatives.mined.k=4 remine.warmup_epochs=1 $(part $set)
  done
}
[ $# -lt 3 ] || { for step in "${@:3}"; do "step_$step"; done; exit; }
