"""Checkpoints that can be read on their own: towers, tokenizer, prompts and lengths, without the run's config."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hardneg import __version__
from hardneg.config import classes
from hardneg.data.tables import Texts
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.differences import differences
from hardneg.encoders.file_hashes import check_intact
from hardneg.encoders.purposes import Purpose, with_purpose
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.errors import ConfigError
from hardneg.system.atomic_write import atomic_write

log = logging.getLogger(__name__)

KEY = "hardneg"
TOWERS = "towers."
TRUST = "HARDNEG_TRUST_REMOTE_CODE"


@dataclass(frozen=True)
class Trained:
    """An encoder as a checkpoint stores it."""

    recipe: EncoderRecipe
    tokenizer: Tokenizer
    towers: Towers

    @classmethod
    def as_it_comes(cls, recipe: EncoderRecipe, corpus: Texts, queries: Texts) -> Trained:
        """Make the encoder that a recipe describes, with the weights that it starts from, for these texts."""
        recipe = recipe.resolved()
        tokenizer = recipe.tokenizer(corpus, queries)
        return cls(recipe, tokenizer, Towers(recipe, recipe.build(tokenizer)))


def card(encoder: dict[str, Any], recipe: EncoderRecipe, tokenizer: Tokenizer, towers: Towers) -> dict[str, Any]:
    """Return what `load` needs beside the weights, as plain values (torch's safe loading refuses anything else).

    `encoder` is the node that described the recipe; what it left open is written as it was settled.
    """
    settled = with_purpose(recipe, Purpose.OPEN)
    return {
        "version": __version__,
        "encoder": encoder | {key: value for key, value in node(recipe).items() if key in settled},
        "architecture": recipe.architecture(towers.tower(QUERY)),
        "tokenizer": tokenizer.to_str(),
    }


def node(recipe: Any) -> dict[str, Any]:
    """Describe a recipe, and the recipes in it, as the config would."""
    values = {field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)}
    return {"_target_": f"{type(recipe).__module__}.{type(recipe).__name__}", **values}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return node(value)
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def write(path: Path, trained: Trained, weights: Mapping[str, Tensor] | None = None, **facts: Any) -> None:
    """Write an encoder without a training as a checkpoint that `load` reads; it is complete or not there.

    `weights` are the towers' if they have others than those of `trained`; `facts` are added to its `card`.
    """
    weights = trained.towers.state_dict() if weights is None else weights
    about = card(node(trained.recipe), trained.recipe, trained.tokenizer, trained.towers) | facts
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        torch.save({"state_dict": {f"{TOWERS}{name}": value for name, value in weights.items()}, KEY: about}, draft)


def load(path: str | Path) -> Trained:
    """Read a checkpoint's encoder on the CPU; raises `ConfigError` for a file that is not one of ours, or is damaged.

    One with adapters holds only these: their model must still be in its place, and unchanged.
    """
    state = read(path)
    recipe = _recipe(state)
    if getattr(recipe, "trust_remote_code", False) and not os.environ.get(TRUST):
        raise ConfigError(
            f"ckpt_path={path}: its model brings its own Python code, from {getattr(recipe, 'model', None)!r}, which"
            f" would be run with all that you may do; if you trust it, set {TRUST}=1 in the environment"
        )
    try:
        towers = Towers(recipe, recipe.rebuild(state[KEY]["architecture"]))
        towers.load_state_dict(weights_of(state))
    except ConfigError as error:
        raise ConfigError(f"ckpt_path={path}: {error}") from error
    return Trained(recipe, Tokenizer.from_str(state[KEY]["tokenizer"]), towers.eval())


def _recipe(state: dict[str, Any]) -> EncoderRecipe:
    """The recipe in a checkpoint; what it leaves open has its defaults, as no model's folder is asked any more."""
    recipe: EncoderRecipe = classes.build(state[KEY]["encoder"])
    return recipe.without_open()


def read(path: str | Path, key: str = "ckpt_path") -> dict[str, Any]:
    """Return what a dual encoder's checkpoint holds; `key` is what the config calls it.

    Raises `ConfigError` for a file that is not ours.
    """
    state = _opened(path, key)
    if KEY not in state:
        raise ConfigError(f"{key}={path} was not written by hardneg")
    return state


def tokenizer_of(path: str | Path) -> Tokenizer:
    """Return the tokenizer of a dual encoder's checkpoint."""
    return Tokenizer.from_str(read(path, "init_from")[KEY]["tokenizer"])


def _opened(path: str | Path, key: str, mmap: bool = False) -> dict[str, Any]:
    if not Path(path).is_file():
        raise ConfigError(f"{key}={path}: there is no such file")
    check_intact(Path(path), key)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch and pickle raise all sorts of errors, depending on the first bytes
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"{key}={path} is not a checkpoint ({type(error).__name__}: {reason})") from error


def began_with(path: str | Path) -> dict[str, Any]:
    """Return what `auto` stood for in the run of a checkpoint: the encoder's `lr`, and `batch_size`.

    Each only where it is a number: an imported encoder has no batch. Empty where there is no such file; raises
    `ConfigError` for a file that is not a checkpoint.
    """
    if not Path(path).is_file():
        return {}
    state = _opened(path, "ckpt_path", mmap=True)
    batch = (state.get("datamodule_hyper_parameters") or {}).get("batch_size")
    said = {"lr": state.get(KEY, {}).get("encoder", {}).get("lr"), "batch_size": batch}
    return {key: value for key, value in said.items() if isinstance(value, int | float)}


def weights_of(state: dict[str, Any]) -> dict[str, Any]:
    """The towers' weights among all that a checkpoint holds."""
    weights = state["state_dict"]
    return {name.removeprefix(TOWERS): value for name, value in weights.items() if name.startswith(TOWERS)}


def start_from(path: str | Path, recipe: EncoderRecipe, tokenizer: Tokenizer, towers: Towers) -> None:
    """Give the towers a checkpoint's weights to start from; raises `ConfigError` where they do not fit.

    Separate towers may start from a shared one, and a momentum tower starts as a copy of the trained one.
    """
    state = read(path, "init_from")
    if reading(state[KEY]["tokenizer"]) != reading(tokenizer.to_str()):
        raise ConfigError(f"init_from={path} was trained with another tokenizer; give the encoder that it has")
    held = weights_of(state)
    for side in towers.towers:
        tower = towers.tower(side)
        prefix = f"towers.{side}." if any(name.startswith(f"towers.{side}.") for name in held) else f"towers.{QUERY}."
        weights = {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}
        try:
            tower.load_state_dict(weights)
            tower.adopt(state[KEY].get("architecture", {}))
        except (ConfigError, RuntimeError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            width = state[KEY].get("architecture", {}).get("dim")  # of a static table
            mend = f"; set encoder.dim={width}" if width and getattr(recipe, "dim", width) != width else ""
            raise ConfigError(f"init_from={path} does not fit this encoder: {' '.join(lines[:3])}{mend}") from error
    if any(name.startswith(f"towers.{DOCUMENT}.") for name in held) and DOCUMENT not in towers.towers:
        raise ConfigError(
            f"init_from={path} has a tower each for queries and documents; set encoder.separate=true, or"
            " encoder.freeze=document"
        )
    towers.restart_slow()
    harmless = with_purpose(recipe, Purpose.QUERIES | Purpose.START)  # to documents whose vectors are kept
    for key, (was, now) in differences(_recipe(state), recipe).items():
        if recipe.freeze and key not in harmless:
            raise ConfigError(
                f"init_from: encoder.{key} was {was!r} and is {now!r} now, which would give the documents that"
                " encoder.freeze keeps other vectors; set it as it was"
            )
        log.warning("init_from: encoder.%s was %r and is %r now", key, was, now)


def reading(tokenizer: str) -> dict[str, Any]:
    """Return what determines the tokens of a text, without lengths and padding, which the tables handle."""
    return json.loads(tokenizer) | {"padding": None, "truncation": None}


def check_fits(path: str | Path, towers: torch.nn.Module, prefix: str = TOWERS) -> None:
    """Raise `ConfigError` for a checkpoint whose weights do not have these towers' shapes.

    `prefix` begins their names in the checkpoint, as those of a cross-encoder's network.
    """
    held = _opened(path, "ckpt_path", mmap=True).get("state_dict", {})
    for name, own in towers.state_dict().items():
        was = held.get(f"{prefix}{name}", own)
        if was.shape != own.shape:
            anew = f", or start a new run from its weights by init_from={path}" if prefix == TOWERS else ""
            raise ConfigError(
                f"ckpt_path={path} was trained with another encoder: {name} is {tuple(was.shape)} there and"
                f" {tuple(own.shape)} here; go on with the settings that it had (hardneg resume RUN){anew}"
            )


def adopt(path: str | Path, towers: Towers) -> None:
    """Let the towers of a training that goes on take from its checkpoint what is neither weight nor recipe."""
    architecture = _opened(path, "ckpt_path", mmap=True).get(KEY, {}).get("architecture", {})
    for tower in towers.modules():
        if isinstance(tower, Tower):
            tower.adopt(architecture)


def check_resumable(path: str | Path) -> None:
    """Raise `ConfigError` for a checkpoint that cannot be resumed: an imported encoder has only weights."""
    if "optimizer_states" not in _opened(path, "ckpt_path", mmap=True):
        raise ConfigError(
            f"ckpt_path={path} holds an encoder but no state of a training to go on with; to start from its weights,"
            f" give init_from={path}"
        )
