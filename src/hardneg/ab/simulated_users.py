"""Users whose clicks are simulated for interleaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from hardneg.ab.interleaving import Drafted


@dataclass(frozen=True)
class User:
    """A user who reads from the top, clicks with `click` and leaves after a click with `stop`.

    Both are probabilities for documents that are not relevant and for those that are (the dependent click model, Guo,
    Liu and Wang 2009, doi:10.1145/1498759.1498818).
    """

    click: tuple[float, float]
    stop: tuple[float, float]

    def clicks(self, drafted: Drafted, grades: Mapping[str, int | float], rng: np.random.Generator) -> tuple[str, ...]:
        """Return the team of every result that is clicked."""
        found = []
        chances = rng.random((len(drafted.docs), 2))
        for (doc, team), (click, stop) in zip(zip(drafted.docs, drafted.teams, strict=True), chances, strict=True):
            good = int(grades.get(doc, 0) > 0)
            if click < self.click[good]:
                found.append(team)
                if stop < self.stop[good]:
                    break
        return tuple(found)


# The three users that interleaving is usually simulated with (Hofmann, Whiteson and de Rijke 2011,
# doi:10.1145/2063576.2063618): one who never errs, one who looks for one page, one who gathers information.
USERS = {
    "perfect": User(click=(0.0, 1.0), stop=(0.0, 0.0)),
    "navigational": User(click=(0.05, 0.95), stop=(0.2, 0.9)),
    "informational": User(click=(0.4, 0.9), stop=(0.1, 0.5)),
}
