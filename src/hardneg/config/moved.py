"""Modules that configs name and that have moved: older configs stay readable, and keep their identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Old path -> today's, for modules that were `_target_` in a released or published config.
MOVED = {
    "hardneg.encoders.pairs": "hardneg.encoders.cross_encoder",
    "hardneg.fsdp": "hardneg.training.fsdp",
    "hardneg.mining.bi_encoder": "hardneg.mining.bi_encoder_teacher",
    "hardneg.mining.cross_encoder": "hardneg.mining.cross_encoder_teacher",
    "hardneg.negatives.pace": "hardneg.negatives.curriculum_pace",
    "hardneg.preflight": "hardneg.sweep.check_jobs",
    "hardneg.runlog.csv": "hardneg.runlog.metrics_csv",
    "hardneg.runlog.wandb": "hardneg.runlog.wandb_run",
    "hardneg.schedule": "hardneg.training.schedule",
}
# Old key -> today's, of settings that were renamed.
RENAMED = {"alarms.hit_rate": "alarms.kept"}
FIRST = {new: old for old, new in MOVED.items()}


def todays(node: Any) -> Any:
    """Return plain containers with every `_target_` where it is today."""
    if isinstance(node, Mapping):
        moved = {key: todays(value) for key, value in node.items()}
        if isinstance(target := node.get("_target_"), str):
            moved["_target_"] = todays_target(target)
        return moved
    return [todays(item) for item in node] if isinstance(node, list | tuple) else node


def todays_target(path: str) -> str:
    """Return where the target of that path is today."""
    return _renamed(path, MOVED)


def todays_word(word: str) -> str:
    """Return a word of a command line (`key=value`) that was written before a key was renamed, with today's key."""
    key, equals, value = word.partition("=")
    return f"{RENAMED.get(key, key)}{equals}{value}"


def first_key(key: str) -> str:
    """Return the key that a setting was first known by."""
    return next((old for old, new in RENAMED.items() if new == key), key)


def first_path(target: str) -> str:
    """Return the path that a target was first known by, so that a run keeps its identity when a module moves."""
    return _renamed(target, FIRST)


def _renamed(target: str, names: Mapping[str, str]) -> str:
    module, _, name = target.rpartition(".")
    return f"{names[module]}.{name}" if module in names else target
