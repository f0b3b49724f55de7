"""Grades of relevance: which of them make a document relevant, and how fractions become whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from hardneg.errors import ConfigError, DataError

RelevantFrom = int | float | Mapping[str, int | float] | None
LARGEST = 100_000  # trec_eval counts documents by grade in an array, for each query


def check_relevant_from(bar: Any) -> None:
    """Raise `ConfigError` unless it is a grade above 0, one for each split, or null."""
    for value in bar.values() if isinstance(bar, Mapping) else [bar]:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise ConfigError(
                f"data.relevant_from={bar!r} must be the lowest grade that is relevant, such as 2, one for each split,"
                " as in {test: 2}, or null: any grade above 0"
            )


def bar_of(bar: RelevantFrom, splits: Iterable[str]) -> dict[str, int | float | None]:
    """Return the lowest relevant grade of each split, null where anything above 0 is relevant.

    Raises `ConfigError` for an unknown split.
    """
    splits = list(splits)
    if not isinstance(bar, Mapping):
        return dict.fromkeys(splits, bar)
    if unknown := set(bar) - set(splits):
        raise ConfigError(f"data.relevant_from names {', '.join(sorted(unknown))}; the splits are {', '.join(splits)}")
    return {split: bar.get(split) for split in splits}


def whole_steps(grades: Iterable[int | float]) -> int:
    """Return the smallest factor that makes all grades above 0 whole numbers: 1 for whole ones, 2 for halves.

    trec_eval knows whole grades only, and nDCG is the same when all gains are multiplied. Grades are taken as they are
    written, to six digits. Raises `DataError` where the number would be too large for trec_eval.
    """
    written = {Fraction(f"{grade:.6g}") for grade in set(grades) if grade > 0}
    steps = math.lcm(*(grade.denominator for grade in written))
    if written and steps * max(written) > LARGEST:
        odd = max(written, key=lambda grade: grade.denominator)
        raise DataError(
            f"grades like {float(odd):g} have no common step that trec_eval can count in (the highest may have"
            f" {LARGEST:,} of them); round them to fewer digits, such as 0.25"
        )
    return steps
