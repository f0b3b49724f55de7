"""The words of a command that an index is told to be mended or made again by: they work from anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardneg.config.composition import key_of, quoted


def is_data(word: str) -> bool:
    """Whether a word is about the data set: data=..., data.path=..., +data@..."""
    return key_of(word).split(".")[0].split("@")[0] == "data"


def path_word(key: str, path: object) -> str:
    """A path in a command: Hydra wants one with =, commas or brackets quoted (best of epoch=3.ckpt, say)."""
    text = str(path)
    if re.fullmatch(r"[\w /.:+@%-]+", text, re.ASCII):
        return f"{key}={text}"
    return f'{key}="{text}"' if '"' not in text else f"{key}={quoted(text)}"


def located(data: dict[str, Any], words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return a data node, and the words that name it, with its path as it is from everywhere."""
    if "path" not in data:
        return data, list(words)
    path = str(Path(data["path"]).expanduser().resolve())
    return {**data, "path": path}, [path_word("data.path", path) if key_of(w) == "data.path" else w for w in words]
