"""A step's embeddings before they are scored: at full width, or cut to a narrower one (Matryoshka)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates, Columns
from hardneg.matrix.reverse import reverse
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
