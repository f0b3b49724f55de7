"""A run's part in a race: where it pauses for the others to be looked at, and its dev values query by query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hardneg.errors import DataError
from hardneg.runs import status
from hardneg.system.atomic_write import atomic_write

FILE = "dev_by_query.npz"
IDS, MEAN = "ids", "mean_"


@dataclass(frozen=True)
class RungTask:
    """What a race asks of a run: to pause at the step `until`, or to take the time of its steps for `seconds`.

    With `over_all` it takes that of ranking dev over all documents too, where dev has a subset. With neither it goes on
    to its end. Its dev values are kept query by query in any case.
    """

    until: int | None = None
    seconds: float | None = None
    over_all: bool = False


@dataclass(frozen=True)
class DevValues:
    """One evaluation: its step, the mean of the metric, and its value for each query, in the order of `ids`."""

    step: int
    mean: float
    ids: np.ndarray
    values: Float[np.ndarray, " Q"]


def part_of(folder: Path) -> RungTask | None:
    """The part of the run in this folder, by its status; None for a run of no race."""
    asked: Mapping[str, Any] | None = (status.read(folder) or {}).get("race")
    return None if asked is None else RungTask(**asked)


def note(folder: Path, ids: np.ndarray, values: Float[np.ndarray, " Q"], step: int, mean: float) -> None:
    """Add an evaluation to those that the folder has; it replaces an earlier one of the same step."""
    path, kept = folder / FILE, dict[str, np.ndarray]()
    if path.exists():
        with np.load(path, allow_pickle=False) as before:
            kept = dict(before)
    kept |= {IDS: ids.astype(str), str(step): values, f"{MEAN}{step}": np.array(mean)}
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **kept)  # type: ignore[arg-type]


def best_until(folder: Path, until: int) -> DevValues:
    """The evaluation with the highest mean up to a step, the first of equal ones: the one that best.ckpt is of.

    Raises `DataError` where there is none.
    """
    path = folder / FILE
    if not path.exists():
        raise DataError(f"{path}: there is no such file, so the run was not evaluated on dev for the race")
    with np.load(path, allow_pickle=False) as kept:
        steps = sorted(int(key) for key in kept if key.isdecimal() and int(key) <= until)
        if not steps:
            raise DataError(f"{path}: no evaluation up to step {until}")
        best = max(steps, key=lambda step: (float(kept[f"{MEAN}{step}"]), -step))
        return DevValues(best, float(kept[f"{MEAN}{best}"]), kept[IDS], kept[str(best)])


def curve(folder: Path) -> list[tuple[int, float]]:
    """Step and mean of every evaluation; empty where there is none."""
    path = folder / FILE
    if not path.exists():
        return []
    with np.load(path, allow_pickle=False) as kept:
        return sorted((int(key), float(kept[f"{MEAN}{key}"])) for key in kept if key.isdecimal())
