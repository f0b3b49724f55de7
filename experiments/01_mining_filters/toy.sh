#!/usr/bin/env bash
# The same on a generated world where 0 to 60% of a query's neighbours are relevant and not labelled: the hardest four
# of each query, unfiltered and with a margin; 5 seeds.
# usage: toy.sh OUT_FOLDER
set -euo pipefail
out=$1 here=$(dirname "$0")
common=(data=toy data.queries=2000 data.docs=6000 encoder=static encoder.dim=128 optimizer.lr=0.01 batch_size=32)
common+=(trainer.max_epochs=6 evaluate.before=false logger=csv remine.warmup_epochs=2 seed=1,2,3,4,5)
hardest=('negatives=[in_batch,mined]' negatives.mined.k=4 negatives.mined.pool=4 negatives.mined.sampling=top)
hardest+=(negatives.mined.depth=100)

for rate in 0.0 0.2 0.4 0.6; do
    sweep() { hardneg train -m "${common[@]}" data.false_negative_rate=$rate hydra.sweep.dir="$out/$rate/$1" "${@:2}"; }
    sweep in_batch strategy=in_batch
    for filter in '[known_positives]' '[known_positives,rank_window]' '[known_positives,relative_margin]'; do
        sweep "mined_${filter//[^a-z_]/}" "${hardest[@]}" "filter=$filter"
    done
    hardneg compare "$out/$rate" --baseline in_batch-infonce --markdown "$here/toy-$rate.md"
done
