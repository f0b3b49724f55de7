"""From blocks of queries, each written once it is done, to the arrays of a store."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from hardneg.data.training_set import TrainingSet
from hardneg.mining.rankings import StoredRankings
from hardneg.mining.store import KEPT
from hardneg.system.memory_map import write_arrays
from hardneg.system.row_writer import RowWriter

EMPTY = {"reasons": KEPT, "positive": np.nan, "teacher": np.nan, "positive_teacher": np.nan}


@dataclass(frozen=True)
class FilteredBlock:
    """What filters and teacher make of a block of rankings; rows of a store."""

    reasons: UInt8[np.ndarray, "Q K"]
    positive: Float32[np.ndarray, " Q"]
    teacher: Float32[np.ndarray, "Q K"] | None
    positive_teacher: Float32[np.ndarray, "Q P"] | None


def save(path: Path, block: FilteredBlock) -> None:
    """Write a block's arrays."""
    write_arrays(path, **{key: value for key, value in vars(block).items() if value is not None})


def assemble(
    folder: Path,
    blocks: list[tuple[np.ndarray, Path]],
    rankings: StoredRankings,
    training: TrainingSet,
    card: Mapping[str, Any],
) -> None:
    """Put the blocks into the arrays of a store, one block in memory at a time; the rankings' own arrays are shared."""
    with contextlib.ExitStack() as opened:
        writers: dict[str, RowWriter] = {}
        for queries, path in blocks:
            with np.load(path) as block:
                for key in block.files:
                    if key not in writers:
                        writer = RowWriter(folder / f"{key}.npy", len(training.data.queries), EMPTY[key])
                        writers[key] = opened.enter_context(writer)
                    writers[key].put(queries, block[key])
    for name, path in rankings.arrays.items():
        _share(path, folder / f"{name}.npy")
    (folder / "card.json").write_text(json.dumps(card, indent=2))


def _share(path: Path, name: Path) -> None:
    """Link a file to another name, so that it outlives the first at no cost; copy it where links are not possible."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)
