"""The conf/ folder under test: which yamls there are, and what the command line would compose from them."""

from __future__ import annotations

import functools
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from hardneg.config import composition

CONF = (Path(__file__).parents[2] / "conf").resolve()


def names(group):
    """The options of a group: one a file."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@functools.cache
def compose(*overrides, name="train"):
    """What Hydra makes of a command line."""
    composition.register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra_compose(name, overrides=list(overrides))
    OmegaConf.set_readonly(cfg, True)
    return cfg
