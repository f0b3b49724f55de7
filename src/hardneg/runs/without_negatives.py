"""The command that trains a run once more without the negatives that it draws, which tells what these are worth."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hardneg.config import classes, composition
from hardneg.config.composition import key_of, quoted, words_off
from hardneg.errors import UserError

OF_NEGATIVES = ("strategy", "negatives", "curriculum", "remine", "teacher")  # groups that say nothing without them
OF_RESUMING = ("ckpt_path",)  # the other run begins where this one began
ENDING = "_without"  # of the other run's folder
PLAIN = re.compile(r"[\w./~+-]+")  # a path that Hydra reads without quotes


def words_without(cfg: DictConfig, words: Sequence[str], drawn: Collection[str]) -> list[str] | None:
    """Return the words of the same run without the sources `drawn`; None where nothing would be left to learn from.

    That is where they are all that there is, or where a loss or filter reads them, or their teacher's scores.
    """
    node = classes.plain(cfg)
    left = [name for name in node["negatives"] if name not in drawn]
    if not left or _reads(node, drawn):
        return None
    kept = [word for word in words if _place(word).split(".")[0] not in OF_NEGATIVES + OF_RESUMING]
    kept += [f"negatives=[{','.join(left)}]"]
    if isinstance(node.get("batch_size"), int) and not any(key_of(word) == "batch_size" for word in kept):
        kept += [f"batch_size={node['batch_size']}"]  # another one may fit without them
    own = [word for word in words if _place(word).startswith(tuple(f"negatives.{name}." for name in left))]
    try:
        rest = _composed(kept)
        off = [word for group in ("teacher", "curriculum") for word in words_off(group, kept, _composed)]
    except (HydraException, OmegaConfBaseException, UserError):
        return None
    unused = [
        f"{group}.{name}"
        for group in ("negatives", "filter")
        for name, one in rest.get(group, {}).items()
        if "_target_" not in (one or {})
    ]
    return [*kept, *own, *(f"~{name}" for name in unused), *off]


def _place(word: str) -> str:
    """Where in the config a word puts something, as negatives.mined.miner.encoder for encoder@that=minilm."""
    return key_of(word).rpartition("@")[2]


def commands_without(cfg: DictConfig, folder: Path, drawn: Collection[str]) -> list[str] | None:
    """Return what to type to train the run in `folder` without these sources, and to compare the two."""
    if not HydraConfig.initialized():
        return None
    words = words_without(cfg, list(HydraConfig.get().overrides.task), drawn)
    if words is None:
        return None
    other = folder.with_name(folder.name + ENDING)
    place = f"hydra.run.dir={other if PLAIN.fullmatch(str(other)) else quoted(other)}"
    train = shlex.join(["hardneg", "train", *composition.config_dir_words(HydraConfig.get()), *words, place])
    return [train, shlex.join(["hardneg", "compare", str(folder), str(other)])]


def _reads(node: dict[str, Any], drawn: Collection[str]) -> bool:
    """Whether a loss or filter names one of the sources, or needs a teacher that only they have."""
    parts = [*(node.get("loss") or {}).values(), *(node.get("filter") or {}).values()]
    named = {str(name) for one in parts for key in ("sources", "hardness_sources") for name in one.get(key) or ()}
    made = [*classes.build_group(node.get("loss"), "loss").values()]
    made += classes.build_group(node.get("filter"), "filter").values()
    return bool(named & set(drawn)) or any(getattr(one, "needs_teacher", False) for one in made)


def _composed(words: list[str]) -> Any:
    """Compose a config as plain values, unresolved, and leave Hydra as it was."""
    before = HydraConfig.instance().cfg
    try:
        return OmegaConf.to_container(composition.compose("train", words), resolve=False)
    finally:
        HydraConfig.instance().cfg = before
