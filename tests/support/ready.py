"""Data sets that are loaded already, where a recipe is asked for that reads one."""

from __future__ import annotations

from dataclasses import dataclass

from hardneg.data.mix import Mix
from hardneg.data.tables import RetrievalData


@dataclass(frozen=True)
class Ready:
    """A data set that is loaded already."""

    data: RetrievalData

    def load(self):
        return self.data


def mix(**sets):
    """A mix of data sets, and maybe its `temper`, `prompts` and `name`."""
    options = {key: sets.pop(key) for key in ("temper", "prompts", "name") if key in sets}
    return Mix({name: Ready(data) for name, data in sets.items()}, **options)
