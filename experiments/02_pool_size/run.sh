#!/usr/bin/env bash
# The number of documents that a query is set against, 2^5 to 2^12, by larger batches and by queues; 3 seeds on one BEIR
# folder. Then the trend over doublings and the comparison with accumulated gradients.
# usage: run.sh DATA_FOLDER OUT_FOLDER STEPS      (STEPS: those of a batch of 512 in 3 epochs; nl2bash 51, squad-sent 102)
set -euo pipefail
data=$1 out=$2 steps=$3 name=$(basename "$1") here=$(dirname "$0")
common=(data=beir data.path="$data" encoder=static encoder.init=minilm optimizer.lr=0.01 trainer.max_epochs=3)
common+=(evaluate.before=false evaluate.bm25=null logger=csv)
cached=(negatives=in_batch encoder.grad_cache=true encoder.tokens=65536)
queue=('negatives=[in_batch,queue]' batch_size=128)
sweep() { hardneg train -m "${common[@]}" seed=1,2,3 hydra.sweep.dir="$out/$1" "${@:2}"; }

# A larger batch takes fewer steps in 3 epochs; the same learning rate for all.
sweep batch "${cached[@]}" batch_size=32,128,512,2048,4096
sweep accumulate negatives=in_batch batch_size=32 trainer.accumulate_grad_batches=4
# The documents of earlier steps beside a batch: as many steps and queries as without them. The momentum tower alone, too:
# under it documents have no gradient.
sweep moco_128 negatives=in_batch batch_size=128 encoder.momentum=0.95
sweep moco_512 "${queue[@]}" encoder.momentum=0.95 negatives.queue.size=384
sweep moco_4096 "${queue[@]}" encoder.momentum=0.95 negatives.queue.size=3968
sweep xbm_512 "${queue[@]}" negatives.queue.size=384
sweep xbm_4096 "${queue[@]}" negatives.queue.size=3968
# As many steps as a batch of 512 takes in 3 epochs: a larger batch then sees more queries.
few=("${cached[@]}" trainer.max_steps="$steps")
sweep steps_32 "${few[@]}" batch_size=32 trainer.max_epochs=1
sweep steps_128 "${few[@]}" batch_size=128 trainer.max_epochs=1
sweep steps_2048 "${few[@]}" batch_size=2048 trainer.max_epochs=13 evaluate.every_n_epochs=5

python "$here/measure.py" "$out" "$here/$name.json"
hardneg compare "$out/accumulate" "$out/batch" --markdown "$here/$name-accumulate.md" --baseline \
    "in_batch-infonce batch_size=32 encoder.grad_cache=False encoder.tokens=None trainer.accumulate_grad_batches=4"
python "$here/figure.py"
