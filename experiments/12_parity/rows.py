"""A row of the table: what was compared, with which version, and how far the two are from each other."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from tiny import Outcome

ROUNDING = 1e-9  # of float64, over a few thousand sums; the loss is about 1 and the largest gradient about 10


@dataclass(frozen=True)
class Row:
    """`loss` and `gradient` are the largest absolute differences; `values` is how many numbers were compared.

    `allowed` is what they may be. `here` are the words that make ours. `on_purpose` says what differs all the same.
    """

    peer: str
    version: str
    what: str
    here: str
    values: int
    loss: float | None
    gradient: float | None
    on_purpose: str = ""
    allowed: float = ROUNDING

    @property
    def holds(self) -> bool:
        """Whether the two are equal but for rounding."""
        return all(found is None or found <= self.allowed for found in (self.loss, self.gradient))


def training_row(
    peer: str, what: str, here: str, ours: Outcome, theirs: Outcome, on_purpose: str = "", constant: float = 0.0
) -> Row:
    """Compare a loss and its gradient at every weight; `constant` is what a peer's value has beside ours."""
    assert ours.gradients.keys() == theirs.gradients.keys(), ours.gradients.keys() ^ theirs.gradients.keys()
    assert max(float(g.abs().max()) for g in theirs.gradients.values()) > 1e-3, "there is nothing to compare"
    apart = max(float((ours.gradients[name] - g).abs().max()) for name, g in theirs.gradients.items())
    count = sum(g.numel() for g in theirs.gradients.values()) + 1
    loss = abs(ours.loss + constant - theirs.loss)
    return Row(peer, named(peer), what, here, count, loss, apart, on_purpose)


def named(peer: str) -> str:
    """The installed version of a package; a formula written out has none."""
    return "" if peer.endswith("(formula)") else version(peer)


def write(made: Iterable[Callable[[], Row | list[Row]]]) -> None:
    """Make every row, say it, and write them to the csv file that the command line names."""
    out: list[Row] = []
    for make in made:
        found = make()
        out += found if isinstance(found, list) else [found]
    with Path(sys.argv[1]).open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in out)
    for row in out:
        sys.stdout.write(f"{'same' if row.holds else 'DIFFERS'}  {row.peer}: {row.what}  {row.loss} {row.gradient}\n")
