"""Arguments of Lightning's Trainer that cannot work here as they do elsewhere, and what to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVALUATION = "the dev split is evaluated by hardneg, not by Lightning's validation"
# Argument -> why it does nothing, or breaks a run, and the key that does.
REFUSED = {
    "val_check_interval": f"{EVALUATION}: give evaluate.every_n_steps, in optimiser steps, or evaluate.every_n_epochs",
    "check_val_every_n_epoch": f"{EVALUATION}: give evaluate.every_n_epochs",
    "limit_val_batches": f"{EVALUATION}, and whole: give evaluate.every_n_epochs, or leave it out by split.dev=null",
    "num_sanity_val_steps": f"{EVALUATION}: evaluate.before=true evaluates before the first step",
    "limit_test_batches": "the test split is ranked by hardneg, and whole: leave it out by split.test=null",
    "limit_predict_batches": "nothing is predicted: leave it out",
    "inference_mode": f"{EVALUATION}, always without gradients: leave it out",
    "overfit_batches": "the order of training is hardneg's own: give debug=overfit trainer.limit_train_batches=N",
    "use_distributed_sampler": "hardneg's sampler knows the ranks: leave it out",
    "reload_dataloaders_every_n_epochs": "each epoch has an order of its own already: leave it out",
    "logger": "give the group logger, as in logger=csv or logger=[csv,wandb]",
    "callbacks": "give the group callbacks, as in callbacks=[early_stopping], or '+callbacks.NAME={_target_: CLASS}'",
    "default_root_dir": "the run's folder is hydra.run.dir",
    "enable_checkpointing": "a run ends with its checkpoints: how often they are written is checkpoint.every_n_steps",
    "enable_model_summary": "give callbacks=[model_summary]",
    "enable_autolog_hparams": "the run's folder and W&B get the whole config: leave it out",
    "model_registry": "what W&B is given of a run is logger.wandb.artifacts",
    "barebones": "it takes away loggers and checkpoints, which a run ends with: leave it out",
}
OURS = ("compile",)  # keys of `trainer` that are ours and not the Trainer's arguments


def lightnings(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `trainer` in a config that are for Lightning's Trainer."""
    return {key: value for key, value in trainer.items() if key not in OURS}
