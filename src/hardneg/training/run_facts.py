"""What loggers are told of a run: its name and config, where it comes from, what it takes from other runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.tables import RetrievalData
from hardneg.retrieval.metrics import names_of
from hardneg.runs.folder import SWEEP


def facts(cfg: DictConfig, folder: Path, data: RetrievalData, told: dict[str, Any]) -> dict[str, Any]:
    """What a logger may want to know of the run; `told` is where it comes from."""
    sweep = (folder.parent / SWEEP).exists()
    flat = {
        "run_folder": str(folder),  # where `hardneg compare` finds the per-query values of a W&B run
        "data_id": data.name,
        "encoder_id": str(cfg.encoder.get("model") or cfg.encoder._target_.rsplit(".", 1)[-1].lower()),
        "negatives_id": "+".join(cfg.negatives),
        "loss_id": "+".join(cfg.loss),
        "filter_id": "+".join(cfg.filter),
    }
    return {
        "folder": folder,
        "name": cfg.run_name,
        "group": folder.parent.name if sweep else None,
        "tags": [*cfg.negatives, *cfg.loss, data.name],
        "config": {**classes.plain(cfg), **flat, "provenance": told},
        "inputs": inputs(classes.plain(cfg)),
        "best": [f"val/{metric}" for metric in names_of(cfg.evaluate.metrics)],
    }


def inputs(node: dict[str, Any]) -> dict[str, str]:
    """The checkpoints that a run takes from others, by config key: to start from, to mine and to score with."""
    checkpoints: dict[str, str] = {}
    if node.get("init_from"):
        checkpoints["init_from"] = node["init_from"]
    for path, inner in classes.targets(node):
        given = inner.get("ckpt_path")
        if given is not None and given not in checkpoints.values():  # a teacher stands in each source that asks it, too
            checkpoints[f"{path}.ckpt_path"] = given
    return checkpoints
