#!/usr/bin/env bash
# Fine-tuning alone, after all harvested pairs, and after those that a judge finds consistent: a model of the pairs
# themselves (E5's way), or MiniLM as it ships (Nomic's way). Two seeds; asked again, it goes on where it was.
# usage: run.sh DATA_FOLDER OUT_FOLDER SHARE_OF_PAIRS_MIXED_UP OVERRIDE_OF_FINE_TUNING...
set -euo pipefail
data=$(realpath "$1") out=$(mkdir -p "$2" && realpath "$2") mixed=$3 here=$(realpath "$(dirname "$0")")
name=$(basename "$data")-$mixed pairs=$out/$name.jsonl alone=$out/$(basename "$data")-alone
python=${PYTHON:-python}
$python "$here/harvest.py" "$data" "$pairs" --mixed "$mixed"
quiet=(logger=csv trainer.enable_progress_bar=false)
for seed in 1 2; do
    own=(data.path="$data" "${@:4}") common=("${quiet[@]}" seed=$seed)
    stages() {  # ARM RECIPE OVERRIDE...
        local last; last=$([ "$2" = weak_all ] && echo 2_finetuned || echo 3_finetuned)
        local first=("1_weak:data.path=$pairs")
        [ "$2" = weak_all ] || first=("1_judge:data.path=$pairs" "2_weak:data.path=$pairs")
        hardneg stages "$2" --config-dir "$here/conf" "${common[@]}" "${first[@]}" "${own[@]/#/$last:}" \
            "$last:strategy_name=$1" "${@:3}" hydra.run.dir="$out/$name/$1-$seed"
    }
    [ -e "$alone-$seed/summary.json" ] || hardneg train --config-dir "$here/conf" experiment=weak_all/2_finetuned \
        init_from=null "${common[@]}" "${own[@]}" strategy_name=alone hydra.run.dir="$alone-$seed"
    stages all weak_all
    stages consistent weak_kept
    stages by_minilm weak_all '1_weak:pairs=[consistency]' 1_weak:+encoder@pairs.consistency.encoder=minilm \
        1_weak:pairs.consistency.encoder.document.max_length=64
done
hardneg compare "$alone"-? "$out/$name"/{all,by_minilm}-?/2_finetuned "$out/$name"/consistent-?/3_finetuned \
    --baseline alone-infonce --metric ndcg@10,recall@100 --markdown "$here/$name.md"
$python "$here/quality.py" "$pairs" "$out/$name"/consistent-?/2_weak "$out/$name"/by_minilm-?/1_weak >> "$here/$name.md"
