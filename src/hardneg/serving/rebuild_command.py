"""The words of the command that mends or rebuilds an index: they work from any folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardneg.config.command_words import as_value, key_of


def is_data(word: str) -> bool:
    """Whether a word is about the data set: data=..., data.path=..., +data@..."""
    return key_of(word).split(".")[0].split("@")[0] == "data"


def located(data: dict[str, Any], words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return a data node, and the words that name it, with an absolute path."""
    if "path" not in data:
        return data, list(words)
    path = str(Path(data["path"]).expanduser().resolve())
    return {**data, "path": path}, [f"data.path={as_value(path)}" if key_of(w) == "data.path" else w for w in words]
