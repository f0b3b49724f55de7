"""Arguments of Lightning's Trainer that cannot do here what they do elsewhere, and what to give in their place."""

from __future__ import annotations

from typing import Any

from hardneg.errors import ConfigError

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
    "overfit_batches": "the order of training is hardneg's own: give +trainer.limit_train_batches",
    "use_distributed_sampler": "hardneg's sampler knows the ranks: leave it out",
    "reload_dataloaders_every_n_epochs": "each epoch has an order of its own already: leave it out",
    "logger": "give the group logger, as in logger=csv or logger=[csv,wandb]",
    "callbacks": "add to the group callbacks, as in '+callbacks.NAME={_target_: CLASS}'",
    "default_root_dir": "the run's folder is hydra.run.dir",
    "enable_checkpointing": "a run ends with its checkpoints: how often they are written is checkpoint.every_n_steps",
    "enable_model_summary": "no summary of the model is shown: leave it out",
    "enable_autolog_hparams": "the run's folder and W&B get the whole config: leave it out",
    "model_registry": "what W&B is given of a run is logger.wandb.artifacts",
    "barebones": "it takes away loggers and checkpoints, which a run ends with: leave it out",
}
LEAST = {"max_epochs": -1, "max_steps": -1, "accumulate_grad_batches": 1}


def check_trainer(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a length of the training that cannot be, or an argument that does nothing here."""
    trainer = node["trainer"]
    for key, least in LEAST.items():
        value = trainer.get(key)
        if not isinstance(value, int | None) or isinstance(value, bool):
            raise ConfigError(f"trainer.{key}={value!r} must be a whole number")
        if value is not None and (value < least or value == 0):
            more = "; -1 is without a limit" if least == -1 else ""
            raise ConfigError(f"trainer.{key}={value} must be 1 or more{more}")
    if trainer.get("max_epochs") in (None, -1) and trainer.get("max_steps") in (None, -1):
        raise ConfigError(
            "trainer.max_epochs and trainer.max_steps leave the training without an end, and the schedule needs to know"
            " the run's length; give one of them"
        )
    if node.get("curriculum") and trainer.get("limit_train_batches") not in (None, 1.0):
        raise ConfigError(
            "a curriculum goes by whole epochs, which trainer.limit_train_batches cuts; give trainer.max_steps"
        )
    if node.get("ckpt_path"):  # a run that goes on has what it was begun with
        return
    for key in trainer.keys() & REFUSED.keys():
        if trainer[key] is not None:
            raise ConfigError(f"trainer.{key} has no effect here; {REFUSED[key]}")
