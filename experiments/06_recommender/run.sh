#!/usr/bin/env bash
# A two-tower recommender in the generated world: in-batch negatives without and with the logQ correction, alone and with
# random or mined items; 3 seeds. Then the two in-batch arms again, tested on what users like whatever its popularity.
# usage: run.sh OUT_FOLDER
set -euo pipefail
out=$1 here=$(dirname "$0")
common=(data=interactions encoder=features trainer.max_epochs=10 evaluate.every_n_epochs=10 evaluate.before=false)
common+=(evaluate.bm25=null evaluate.leave_out=train 'evaluate.metrics=[ndcg@10,recall@100]' logger=csv)
common+=(trainer.enable_progress_bar=false seed=1,2,3)
sweep() { hardneg train -m "${common[@]}" negatives.in_batch.logq=false,true hydra.sweep.dir="$out/$1" "${@:2}"; }

sweep test/in_batch strategy=in_batch
sweep liked split.test=liked strategy=in_batch
sweep test/random strategy=random
sweep test/mined strategy=mined negatives.mined.depth=50 remine.warmup_epochs=2 remine.every_n_epochs=2
for split in test liked; do
    hardneg compare "$out/$split" --baseline 'in_batch-infonce negatives.in_batch.logq=False' --markdown "$here/$split.md"
done
