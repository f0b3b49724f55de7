"""Checkpoints that can be read on their own: towers, tokenizer, prompts and lengths, without the run's config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from hardneg import __version__, configs
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import QUERY, Towers
from hardneg.errors import ConfigError

KEY = "hardneg"
TOWERS = "towers."


@dataclass(frozen=True)
class Trained:
    """An encoder as a checkpoint holds it."""

    recipe: EncoderRecipe
    tokenizer: Tokenizer
    towers: Towers


def card(encoder: dict[str, Any], recipe: EncoderRecipe, tokenizer: Tokenizer, towers: Towers) -> dict[str, Any]:
    """Return what `load` needs beside the weights, as plain values (torch's safe loading refuses all else)."""
    return {
        "version": __version__,
        "encoder": encoder,
        "architecture": recipe.architecture(towers.tower(QUERY)),
        "tokenizer": tokenizer.to_str(),
    }


def load(path: str | Path) -> Trained:
    """Read a checkpoint's encoder on the CPU; raises `ConfigError` for a file that is none of ours."""
    if not Path(path).is_file():
        raise ConfigError(f"ckpt_path={path}: there is no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise whatever the first bytes lead them to
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"ckpt_path={path} is no checkpoint ({type(error).__name__}: {reason})") from error
    if KEY not in state:
        raise ConfigError(f"ckpt_path={path} was not written by hardneg")
    recipe: EncoderRecipe = configs.build(state[KEY]["encoder"])
    towers = Towers(recipe, recipe.rebuild(state[KEY]["architecture"]))
    weights = state["state_dict"]
    towers.load_state_dict({k.removeprefix(TOWERS): v for k, v in weights.items() if k.startswith(TOWERS)})
    return Trained(recipe, Tokenizer.from_str(state[KEY]["tokenizer"]), towers.eval())
