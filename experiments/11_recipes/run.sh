#!/usr/bin/env bash
# Every small recipe to its end on real data, beside MiniLM as it comes; what is finished is not run again.
# usage: run.sh OUT_FOLDER DATA_FOLDER
set -uo pipefail
out=$(mkdir -p "$1" && realpath "$1") data=$(realpath "$2") here=$(realpath "$(dirname "$0")")
conf=$here/../../conf/experiment
cd "$out" || exit
common=(data=beir data.path="$data" evaluate.bm25=null logger=csv trainer.enable_progress_bar=false)
for recipe in dpr ance star bge bge_m3_dense gte arctic nomic nv_retriever e5 contriever qwen3 tasb gpl; do
    [ -e "$recipe/summary.json" ] ||
        hardneg train "${common[@]}" experiment=${recipe}_small evaluate.before=true hydra.run.dir="$recipe" ||
        echo "$recipe: exit code $?"
done
for recipe in rocketqa simlm_kd nv_embed; do
    hardneg stages ${recipe}_small data=beir data.path="$data" logger=csv trainer.enable_progress_bar=false \
        hydra.run.dir="$recipe" || echo "$recipe: exit code $?"
done
python "$here/table.py" "$out" > "$here/$(basename "$data").md"
