"""The command that trains a run once more without the negatives that it draws, which shows what these are worth."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hardneg.config import classes, composition
from hardneg.config.command_words import as_value, command_line, key_of
from hardneg.config.composition import words_off
from hardneg.config.slips import in_plain_words
from hardneg.errors import UserError

OF_NEGATIVES = ("strategy", "negatives", "curriculum", "remine", "teacher")  # groups for drawn negatives alone
OF_RESUMING = ("ckpt_path",)  # the other run begins where this one began
NAMES = ("strategy_name", "run_name")  # given to this run alone: compare would take the two runs for one arm
OF_PARTS = ("filter", "loss")  # groups of which a strategy chooses parts too
ENDING = "_without"  # of the other run's folder


class NothingWithout(UserError):
    """There is no run without these negatives: the message says why."""


def words_without(cfg: DictConfig, words: Sequence[str], drawn: Collection[str]) -> list[str]:
    """Return the words of the same run without the sources `drawn`.

    Words of parts that only their strategy chose go with it. Raises `NothingWithout` where they are all that there is
    to learn from, where a loss or filter reads them, or their teacher's scores, and where the other words cannot be
    composed without them.
    """
    node = classes.plain(cfg)
    left = [name for name in node["negatives"] if name not in drawn]
    if not left:
        raise NothingWithout("the run has no other negatives")
    _check_unread(node, drawn, left)
    number = node.get("batch_size")
    kept = [word for word in words if _room(word) not in OF_NEGATIVES + OF_RESUMING + NAMES]
    kept = [word for word in kept if key_of(word) != "batch_size" or not isinstance(number, int)]
    kept += [f"negatives=[{','.join(left)}]"]
    kept += [f"batch_size={number}"] if isinstance(number, int) else []  # another one may fit without them
    own = [word for word in words if _place(word).startswith(tuple(f"negatives.{name}." for name in left))]
    try:
        kept = _of_chosen(kept)
        rest = _composed(kept)
        chosen = [group for group in ("teacher", "curriculum") if rest.get(group)]  # composing takes a while
        off = [word for group in chosen for word in words_off(group, kept, _composed)]
        unused = [
            f"~{group}.{name}"
            for group in ("negatives", "filter")
            for name, one in rest.get(group, {}).items()
            if "_target_" not in (one or {})
        ]
        if (found := [*kept, *own, *unused, *off]) != kept:
            _composed(found)
    except (HydraException, OmegaConfBaseException, UserError) as error:
        raise NothingWithout(
            f"the remaining words cannot be composed without them ({in_plain_words(error)})"
        ) from error
    return found


def _of_chosen(words: list[str]) -> list[str]:
    """Leave out the words of parts that no other word chooses, as `filter.NAME.margin=0.1` of a strategy's filter."""

    def part(word: str) -> tuple[str, str] | None:
        group, *name = _place(word).split(".")
        return (group, name[0]) if group in OF_PARTS and (name[1:] or (name and word[0] == "~")) else None

    made = {part(word) for word in words if _place(word).endswith("._target_")}
    if all(part(word) in {None, *made} for word in words):
        return words
    chosen = _composed([word for word in words if part(word) in {None, *made}])
    there = made | {None} | {(group, name) for group in OF_PARTS for name in chosen.get(group) or ()}
    return [word for word in words if part(word) in there]


def _place(word: str) -> str:
    """Where in the config a word puts something, as negatives.mined.miner.encoder for encoder@that=minilm."""
    return key_of(word).rpartition("@")[2]


def _room(word: str) -> str:
    """The group or the key at the top of the config, as curriculum for curriculum/pace=measured."""
    return re.split(r"[./]", _place(word))[0]


def commands_without(cfg: DictConfig, folder: Path, drawn: Collection[str]) -> list[str]:
    """Return what to type to train the run in `folder` without these sources, and to compare the tests of the two.

    Empty where no command began the run. Raises `NothingWithout` where there is no such run, or nothing to compare.
    """
    if not HydraConfig.initialized():
        return []
    if cfg.split.dev is None and cfg.split.test is None:
        raise NothingWithout("split.dev and split.test are null")
    words = words_without(cfg, list(HydraConfig.get().overrides.task), drawn)
    other = folder.with_name(folder.name + ENDING)
    place = f"hydra.run.dir={as_value(other)}"
    train = command_line("train", *composition.config_dir_words(HydraConfig.get()), *words, place)
    return [train] + ([] if cfg.split.test is None else [command_line("compare", folder, other)])


def _check_unread(node: dict[str, Any], drawn: Collection[str], left: Collection[str]) -> None:
    """Raise `NothingWithout` for a loss or filter that names one of the sources, or needs a teacher that they have.

    An in-batch teacher, which stays, gives a loss scores too.
    """
    live = any(node["negatives"][name].get("teacher") for name in left)
    for group in OF_PARTS:
        made = classes.build_group(node.get(group), group)
        for name, one in (node.get(group) or {}).items():
            named = {str(read) for key in ("sources", "hardness_sources") for read in one.get(key) or ()}
            if read := sorted(named & set(drawn)):
                raise NothingWithout(f"{group}.{name} reads {', '.join(read)}")
            if getattr(made[name], "needs_teacher", False) and not (live and group == "loss"):
                raise NothingWithout(f"{group}.{name} reads a teacher's scores of them")


def _composed(words: list[str]) -> Any:
    """Compose a config as plain values, unresolved, and leave Hydra as it was."""
    before = HydraConfig.instance().cfg
    try:
        return OmegaConf.to_container(composition.compose("train", words), resolve=False)
    finally:
        HydraConfig.instance().cfg = before
