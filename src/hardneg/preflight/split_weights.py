"""What cannot be trained with weights that are split over devices, and why."""

from __future__ import annotations

from typing import Any

from hardneg.config import classes
from hardneg.errors import ConfigError
from hardneg.preflight.averaging import averages
from hardneg.preflight.made import Made
from hardneg.preflight.optimizer import check_split_optimizer
from hardneg.training.fsdp import FSDP2


def check_split(made: Made) -> None:
    """Raise `ConfigError` for what cannot be trained with weights that are split over devices."""
    node = made.node
    if not splits_weights(node):
        return
    encoder, why = node["encoder"], "trainer=fsdp2 runs a tower once a side and step, on every rank"
    if (precision := node["trainer"].get("precision")) not in (None, "auto", 32, "32", "32-true", "bf16", "bf16-mixed"):
        raise ConfigError(
            f"trainer=fsdp2 gathers weights in 32-true or bf16-mixed, not in {precision}: set one of these as"
            " trainer.precision, or trainer=default"
        )
    check_split_optimizer(node["optimizer"])
    if encoder.get("momentum") is not None:
        raise ConfigError(f"{why}, and has no slow one: set encoder.momentum=null, or trainer=default")
    if encoder.get("freeze") is not None:
        raise ConfigError(
            "trainer=fsdp2 splits towers that are trained, and was not tried on a frozen one: set encoder.freeze=null,"
            " or trainer=default"
        )
    if encoder.get("grad_cache") or isinstance(encoder.get("tokens"), int):
        raise ConfigError(f"{why}, not in parts: set encoder.grad_cache=false encoder.tokens=auto, or trainer=default")
    if encoder.get("separate") and (encoder.get("lora") or {}).get("r") is not None:
        raise ConfigError(
            "trainer=fsdp2 cannot split a base that two towers share: set encoder.separate=false or encoder.lora.r=null"
        )
    check_learned(made.losses)
    if averages(made.callbacks):
        raise ConfigError("trainer=fsdp2 keeps no second, averaged model: leave callbacks=[ema] out")


def check_learned(losses: dict[str, Any]) -> None:
    """Raise `ConfigError` for losses that learn something: their weights would not be split."""
    for name, loss in losses.items():
        if any(p.requires_grad for p in loss.parameters()):
            raise ConfigError(
                f"loss.{name} has a weight of its own, which trainer=fsdp2 cannot split: set"
                f" loss.{name}.learn_temperature=false"
            )
        if loss.may_learn:
            raise ConfigError(
                f"loss.{name} may have a projection, which trainer=fsdp2 cannot split: set loss.{name}.projection=false"
                " where the widths are equal, or trainer=default"
            )


def splits_weights(node: dict[str, Any]) -> bool:
    """Whether the trainer splits weights over devices."""
    strategy = node["trainer"].get("strategy")
    return isinstance(strategy, dict) and isinstance(classes.build(strategy), FSDP2)
