"""A step's embeddings before they are scored: at full width, or cut to a narrower one (Matryoshka)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates, Columns, column_scores, own_scores
from hardneg.matrix.reverse import reverse, reverse_scores
from hardneg.system import collectives, distributed


def cut(emb: Float[Tensor, "*rows D"], width: int, normalize: bool) -> Float[Tensor, "*rows W"]:
    """Keep the first `width` components; with `normalize` as unit vectors again."""
    return F.normalize(emb[..., :width], dim=-1) if normalize else emb[..., :width]


def of_all_ranks(emb: Float[Tensor, "B D"], ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "WB D"], Int[Tensor, " WB"]]:
    """Gather a column of vectors, with its gradient, and the ids that go with it."""
    return collectives.gather(emb), collectives.gather(ids)


@dataclass(frozen=True)
class Embedded:
    """The queries, each row's own documents, and what every online source offers, asked once for all widths.

    `others` are the queries of all rows, where a loss wants the other direction.
    """

    q: Float[Tensor, "B D"]
    d: Float[Tensor, "B G D"]
    columns: Mapping[str, Columns]
    others: Columns | None = None

    def cut(self, width: int, normalize: bool) -> Embedded:
        """The same in their first `width` components; gathered columns are cut, not gathered again."""

        def narrow(columns: Columns) -> Columns:
            return replace(columns, emb=cut(columns.emb, width, normalize))

        return Embedded(
            cut(self.q, width, normalize),
            cut(self.d, width, normalize),
            {name: narrow(columns) for name, columns in self.columns.items()},
            None if self.others is None else narrow(self.others),
        )

    def candidates(self, batch: Batch, names: tuple[str, ...]) -> Candidates:
        """Score: own documents, then each source's columns."""
        c = Candidates.own(self.q, self.d, batch, names)
        for name, columns in self.columns.items():
            c = c.add(self.q, columns, name, distributed.rank(), self.d[:, 0])
        return c if self.others is None else c.with_reverse(reverse(self.q, self.d, self.others, batch))

    def scores(self) -> Float[Tensor, "B N"]:
        """The scores of `candidates` alone."""
        own, first = own_scores(self.q, self.d), self.d[:, 0]
        return torch.cat([own, *(column_scores(self.q, first, columns) for columns in self.columns.values())], dim=1)

    def score_again(self, c: Candidates) -> Candidates:
        """Score what were this step's `candidates` at another width; all else about them stays."""
        again = replace(c, scores=self.scores())
        if c.reverse is None or self.others is None:
            return again
        slots = len(c.reverse.scores) // len(self.q)
        return again.with_reverse(replace(c.reverse, scores=reverse_scores(self.q, self.d, self.others, slots)))
