#!/usr/bin/env bash
# From easy to hard, the same negatives in random order, all three kinds at once, and hard ones from the start. Mined with
# one and the same model, that of an in-batch run, so that all arms draw from the same lists.
# usage: run.sh OUT_FOLDER SEEDS NAME OVERRIDE...     as in: run.sh out 1,2,3 nl2bash data=beir data.path=DIR
set -euo pipefail
out=$1/$3 seeds=$2 name=$3 here=$(dirname "$0")
common=(encoder=static batch_size=64 optimizer.lr=0.01 trainer.max_epochs=3 evaluate.before=false logger=csv "${@:4}")
hardneg train "${common[@]}" strategy=in_batch hydra.run.dir="$out/miner"
arms=("${common[@]}" strategy=easy_to_hard negatives.bm25.pool=20 negatives.mined.depth=100 negatives.mined.pool=20)
arms+=(negatives.mined.miner.ckpt_path="$out/miner/checkpoints/best.ckpt")
sweep() { hardneg train -m "${arms[@]}" seed="$seeds" hydra.sweep.dir="$out/$1" strategy_name="$1" "${@:2}"; }

sweep shuffled curriculum.pace.shuffled=true
sweep easy_to_hard
sweep hard_to_easy 'curriculum.share={random:[0,0,1],bm25:[0,1,0],mined:[1,0,0]}'
sweep even 'curriculum.share={random:[0.3333],bm25:[0.3333],mined:[0.3334]}'
sweep hard_only 'curriculum.share={random:[0],bm25:[0],mined:[1]}'
hardneg compare "$out"/{miner,shuffled,easy_to_hard,hard_to_easy,even,hard_only} --baseline shuffled-infonce \
    --primary easy_to_hard-infonce --margin 0.01 --metric ndcg@10,recall@100 --markdown "$here/$name.md"
