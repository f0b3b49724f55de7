"""The length of a training, and arguments of Lightning's Trainer that would do nothing."""

from __future__ import annotations

from typing import Any

from hardneg.config.refused_arguments import REFUSED
from hardneg.errors import ConfigError
from hardneg.runs.trial import is_trial

NEED_A_LOGGER = (".LearningRates", ".DeviceStats", ".LearningRateMonitor", ".DeviceStatsMonitor")  # ours, Lightning's
EPOCHS_CUT = "a curriculum goes by whole epochs, which trainer.limit_train_batches cuts; give trainer.max_steps"
LEAST = {"max_epochs": -1, "max_steps": -1, "accumulate_grad_batches": 1}


def check_trainer(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for an impossible length of the training, or an argument that does nothing here."""
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
    limit = trainer.get("limit_train_batches")
    if limit is not None and limit == 0:
        raise ConfigError("trainer.limit_train_batches=0 leaves nothing to train on; hardneg evaluate ranks alone")
    if node.get("curriculum") and not is_trial(node):  # which need not come as far as a run
        whole = limit is None or (isinstance(limit, float) and limit == 1)  # 1 is one batch, 1.0 the whole epoch
        if not whole:
            raise ConfigError(EPOCHS_CUT)
    check_compile(node)
    check_logged(node)
    check_effect(node)


def check_effect(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for arguments that do nothing here."""
    for key in node["trainer"].keys() & REFUSED.keys():
        if node["trainer"][key] is not None:
            raise ConfigError(f"trainer.{key} has no effect here; {REFUSED[key]}")


def check_logged(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a callback that Lightning refuses, after all is mined, where there is no logger."""
    for name, callback in (node.get("callbacks") or {}).items():
        if not node.get("logger") and str((callback or {}).get("_target_")).endswith(NEED_A_LOGGER):
            raise ConfigError(
                f"callbacks.{name} writes to loggers, and there are none; give one, as in logger=csv, or leave it out"
            )


def check_compile(node: dict[str, Any]) -> None:
    """Raise `ConfigError` where what is trained cannot run compiled."""
    asked, encoder = node["trainer"].get("compile", False), node.get("encoder") or {}
    if not isinstance(asked, bool):
        raise ConfigError(f"trainer.compile={asked!r} must be true or false")
    if not asked:
        return
    off = "or leave trainer.compile=false"
    if str(encoder.get("_target_")).endswith(".PairRecipe"):
        raise ConfigError("trainer.compile is for dual encoders; a cross-encoder trains as it is")
    if str(encoder.get("_target_")).endswith(".Static"):
        raise ConfigError(f"trainer.compile gains nothing with encoder=static; choose a transformer, {off}")
    if encoder.get("grad_cache"):
        raise ConfigError(f"trainer.compile keeps the activations of a batch: set encoder.grad_cache=false, {off}")
    if encoder.get("gradient_checkpointing"):
        raise ConfigError(
            f"trainer.compile was not tried with layers that are computed again: set"
            f" encoder.gradient_checkpointing=false, {off}"
        )
    if encoder.get("unpad"):
        raise ConfigError(f"trainer.compile needs few shapes, which padding gives: set encoder.unpad=false, {off}")
    if encoder.get("include_prompt") is False and encoder.get("pooling") not in ("auto", "last"):
        check_compiled_prompt(False)
    if isinstance(node["trainer"].get("strategy"), dict):
        raise ConfigError(
            f"trainer.compile was not tried with weights that are split over devices: set trainer=default, {off}"
        )


def check_compiled_prompt(pooled: bool) -> None:
    """Raise `ConfigError` where what runs compiled leaves the prompt's tokens out of the pooling."""
    if not pooled:
        raise ConfigError(
            "trainer.compile does not tell a prompt's tokens from others: set encoder.include_prompt=true, which pools"
            " them, or leave trainer.compile=false"
        )
