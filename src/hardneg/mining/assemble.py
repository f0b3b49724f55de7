"""From blocks of queries, each written when it is done, to the arrays of a store."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy.lib.format import dtype_to_descr, write_array_header_1_0

from hardneg.data.training_set import TrainingSet
from hardneg.mining.store import KEPT
from hardneg.system.atomic_write import atomic_write


@dataclass(frozen=True)
class MinedBlock:
    """What the steps make of a block of queries; the rows of a store."""

    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]
    reasons: UInt8[np.ndarray, "Q K"]
    positive: Float32[np.ndarray, " Q"]
    teacher: Float32[np.ndarray, "Q K"] | None
    positive_teacher: Float32[np.ndarray, "Q P"] | None


def save(path: Path, block: MinedBlock) -> None:
    """Write a block's arrays."""
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.savez(file, **{key: value for key, value in vars(block).items() if value is not None})


def assemble(
    folder: Path, blocks: list[tuple[np.ndarray, Path]], training: TrainingSet, card: Mapping[str, Any]
) -> None:
    """Put the blocks into the arrays of a store, one block in memory at a time.

    Written in a stream and not through a memory map, whose written pages would count as this process's memory.
    """
    rows = len(training.data.queries)
    empty = {"ids": -1, "scores": -np.inf, "reasons": KEPT, "positive": np.nan, "teacher": np.nan}
    empty["positive_teacher"] = np.nan
    start = 0
    with contextlib.ExitStack() as opened:
        files: dict[str, BinaryIO] = {}
        for number, (queries, path) in enumerate(blocks):
            end = rows if number + 1 == len(blocks) else int(queries[-1]) + 1  # the queries come in the table's order
            with np.load(path) as block:
                for key in block.files:
                    value = block[key]
                    if key not in files:
                        files[key] = opened.enter_context((folder / f"{key}.npy").open("wb"))
                        shape = (rows, *value.shape[1:])
                        header = {"descr": dtype_to_descr(value.dtype), "fortran_order": False, "shape": shape}
                        write_array_header_1_0(files[key], header)
                    piece = np.full((end - start, *value.shape[1:]), empty[key], value.dtype)
                    piece[queries - start] = value
                    piece.tofile(files[key])
            start = end
    (folder / "card.json").write_text(json.dumps(card, indent=2))
