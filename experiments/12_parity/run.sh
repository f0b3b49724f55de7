#!/usr/bin/env bash
# Makes the peers' environments under ENVS (what is there already stays), runs each peer's file, and writes parity.md.
# A peer whose package does not install or import is named in the table, and the others go on.
set -euo pipefail
cd "$(dirname "$0")"
envs=$(realpath -m "${1:-/tmp/peers}")
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_OFFLINE=1 TQDM_DISABLE=1
HARDNEG_CACHE=$(mktemp -d) && export HARDNEG_CACHE WANDB_MODE=offline

environment() {  # NAME PIP-ARGUMENTS ...
  local name=$1
  [ -f "$envs/$name/.done" ] && return
  "$python" -m venv "$envs/$name"
  "$envs/$name/bin/pip" install -q "${@:2}" -e ../..
}

environment all -c ../../constraints.txt -r requirements.txt && touch "$envs/all/.done"
if environment swift -r requirements_swift.txt && { [ -f "$envs/swift/.done" ] ||
  "$envs/swift/bin/pip" install -q --no-deps -r requirements_nemo.txt; }; then touch "$envs/swift/.done"; fi

mkdir -p "$envs/out"
for peer in flag_embedding sentence_transformers sentence_transformers_mining sentence_transformers_folders tevatron lightning_ir \
  pytorch_metric_learning papers metrics ms_swift nemo; do
  case $peer in ms_swift | nemo) where=swift ;; *) where=all ;; esac
  rm -f "$envs/out/$peer.csv"
  "$envs/$where/bin/python" "peer_$peer.py" "$envs/out/$peer.csv" 2> "$envs/out/$peer.log" ||
    { echo "$peer failed: $envs/out/$peer.log"; tail -n 3 "$envs/out/$peer.log"; }
done
"$envs/all/bin/python" table.py "$envs/out" parity.csv parity.md
