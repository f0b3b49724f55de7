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
    state = _state(path)
    if KEY not in state:
        raise ConfigError(f"ckpt_path={path} was not written by hardneg")
    recipe: EncoderRecipe = configs.build(state[KEY]["encoder"])
    towers = Towers(recipe, recipe.rebuild(state[KEY]["architecture"]))
    weights = state["state_dict"]
    towers.load_state_dict({k.removeprefix(TOWERS): v for k, v in weights.items() if k.startswith(TOWERS)})
    return Trained(recipe, Tokenizer.from_str(state[KEY]["tokenizer"]), towers.eval())


def check_resumable(path: str | Path) -> None:
    """Raise `ConfigError` for a checkpoint that no training can go on from: an imported encoder has weights only."""
    if "optimizer_states" not in _state(path, mmap=True):
        raise ConfigError(
            f"ckpt_path={path} holds an encoder but no state of a training to go on with; to start from an imported"
            " transformer give its folder, as in encoder=transformer encoder.model=FOLDER"
        )


def _state(path: str | Path, mmap: bool = False) -> dict[str, Any]:
    if not Path(path).is_file():
        raise ConfigError(f"ckpt_path={path}: there is no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch and pickle raise whatever the first bytes lead them to
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"ckpt_path={path} is no checkpoint ({type(error).__name__}: {reason})") from error
