"""The words of the command that mends or rebuilds an index: they work from any folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardneg.config.command_words import as_value, key_of
from hardneg.runs.saved_config import DATA_PLACES


def with_absolute_paths(data: dict[str, Any], words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return a data node, and the words that name it, with absolute paths; a set on the hub keeps its name."""
    places = {
        f"data.{key}": str(here.resolve())
        for key in DATA_PLACES
        if isinstance(given := data.get(key), str) and (here := Path(given).expanduser()).exists()
    }
    own = {key: places[f"data.{key}"] for key in DATA_PLACES if f"data.{key}" in places}
    return {**data, **own}, [f"{key}={as_value(places[key])}" if (key := key_of(w)) in places else w for w in words]
