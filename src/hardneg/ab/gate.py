"""The gate: limits that a new model must keep before it may replace the old one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardneg.errors import UserError
from hardneg.system.counts_in_words import QUERIES, counted

if TYPE_CHECKING:
    from hardneg.ab.effects import Effect
    from hardneg.ab.gained_lost import Changes


@dataclass(frozen=True)
class Gate:
    """Limits, each null where it is not asked for.

    `delta`: what the lower end of the 95% interval of the difference must not fall below, as -0.01. `lost`: the largest
    share of queries that may lose a relevant document from the first k. `slice`: what the difference of no slice may
    fall below, of slices with at least `least` queries: smaller ones fall by chance.

    Raises `UserError` for limits outside their range.
    """

    delta: float | None = None
    lost: float | None = None
    slice: float | None = None
    least: int = 30

    def __post_init__(self) -> None:
        for name in ("delta", "slice"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise UserError(f"--gate-{name} {value}: is a difference of the metric, such as -0.01")
        if self.lost is not None and not 0 <= self.lost <= 1:
            raise UserError(f"--gate-lost {self.lost}: is a share of the queries, 0 to 1")
        if self.least < 1:
            raise UserError(f"--gate-slice-least {self.least}: must be 1 or more")

    @property
    def asked(self) -> bool:
        """Whether there is any limit."""
        return (self.delta, self.lost, self.slice) != (None, None, None)

    def reasons(self, effect: Effect, changes: Changes, slices: Sequence[Effect]) -> Iterator[str]:
        """Say which limits are crossed; nothing where the new model may go out."""
        # Written so that an unknown (the infinite interval of one query) does not pass.
        if self.delta is not None and not effect.low >= self.delta:
            yield f"{effect.name}: {effect.in_words}; the interval reaches below {self.delta:+g}"
        if self.lost is not None and changes.lost_share > self.lost:
            yield (
                f"{changes.lost_share:.1%} of the queries lost a relevant document from the first {changes.k}; at most"
                f" {self.lost:.1%} may"
            )
        for one in slices:
            if self.slice is not None and one.queries >= self.least and one.difference.mean < self.slice:
                asked = counted(one.queries, *QUERIES)
                yield f"slice {one.name} ({asked}): {one.difference.mean:+.4f}, below {self.slice:+g}"


def add_options(parser: argparse.ArgumentParser, delta: float | None = None, lost: float | None = None) -> None:
    """Let a command take limits, with these from the start."""
    limits = parser.add_argument_group("gate", "exit code 1, with the reason, if one of these is crossed")
    add = limits.add_argument
    for name, value, letter, says in (
        ("delta", delta, "D", "lowest allowed lower end of the interval, such as -0.01"),
        ("lost", lost, "S", "largest allowed share of queries that lose a relevant document"),
        ("slice", None, "D", "lowest allowed difference of any slice, such as -0.02"),
    ):
        shown = "" if value is None else f" (default: {value:g})"
        add(f"--gate-{name}", type=float, default=value, metavar=letter, help=f"{says}{shown}")
    add("--gate-slice-least", type=int, default=30, metavar="N", help="ignore slices with fewer queries (default: 30)")


def of(given: argparse.Namespace) -> Gate:
    """The limits that were given."""
    return Gate(given.gate_delta, given.gate_lost, given.gate_slice, given.gate_slice_least)
