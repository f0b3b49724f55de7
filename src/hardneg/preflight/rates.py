"""Rates of the optimizer as they are written; which number `auto` stands for, the encoder knows."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from hardneg.config.run_identity import AUTO
from hardneg.errors import ConfigError


def check_rates(cfg: DictConfig) -> None:
    """Raise `ConfigError` where the optimizer itself is given `auto`, instead of a reference to `encoder.lr`."""
    if cfg.get("optimizer") is None:
        return
    written: Any = OmegaConf.to_container(cfg.optimizer, resolve=False)
    if found := _autos("optimizer", written):
        raise ConfigError(
            f"{found[0]}=auto: write encoder.lr=auto (the default of encoder=static) and leave {found[0]} out"
        )


def is_rate(key: str) -> bool:
    """Whether a setting of an optimizer is a learning rate, as lr and adamw_lr are."""
    return key == "lr" or key.endswith("_lr")


def _autos(path: str, node: dict[str, Any]) -> list[str]:
    inner = [name for key, value in node.items() if isinstance(value, dict) for name in _autos(f"{path}.{key}", value)]
    return [*(f"{path}.{key}" for key, value in node.items() if is_rate(key) and value == AUTO), *inner]
