"""GOR: vectors of different texts must be as spread out as random ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.base import VectorLoss
from hardneg.matrix.batch import Batch
from hardneg.matrix.embedded import Embedded, of_all_ranks

DOCUMENTS = ("positives", "all")
AGGREGATIONS = ("mean", "sum")


class GOR(VectorLoss):
    """Global orthogonal regularisation (Zhang et al. 2017, arXiv:1708.06320), a term beside a loss over scores.

    Cosines of random unit vectors in d dimensions have mean 0 and second moment 1/d. So the term is M1^2, the squared
    mean of the cosines of different queries, times `mean_weight`, and max(0, M2 - 1/d), the excess of their mean square
    M2 over that, times `second_moment_weight`. Likewise of documents, slot by slot of the rows: the `positives` alone,
    or `all` that were drawn; the columns' `mean` or `sum` counts. As `GlobalOrthogonalRegularizationLoss` of
    sentence-transformers. EmbeddingGemma (arXiv:2509.20354) takes the second moment alone, of queries and positives,
    and their sum: mean_weight=0, aggregation=sum.

    Pairs that are one query, or one document, do not count. Queries and documents of all ranks are taken together.

    Raises `ConfigError` for negative weights, two of 0, and other `documents` or `aggregation`.
    """

    def __init__(
        self,
        mean_weight: int | float = 1.0,
        second_moment_weight: int | float = 1.0,
        documents: str = "positives",
        aggregation: str = "mean",
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        if min(mean_weight, second_moment_weight) < 0 or not (mean_weight or second_moment_weight):
            raise ConfigError(
                "loss.gor.mean_weight and second_moment_weight must not be negative, nor both 0, got"
                f" {mean_weight} and {second_moment_weight}"
            )
        if documents not in DOCUMENTS:
            raise ConfigError(f"loss.gor.documents must be one of {', '.join(DOCUMENTS)}, got {documents!r}")
        if aggregation not in AGGREGATIONS:
            raise ConfigError(f"loss.gor.aggregation must be one of {', '.join(AGGREGATIONS)}, got {aggregation!r}")
        self.mean_weight, self.second_moment_weight = mean_weight, second_moment_weight
        self.documents, self.aggregation = documents, aggregation

    def forward(self, e: Embedded, batch: Batch) -> Float[Tensor, ""]:
        """Return the term of a step."""
        of_columns = torch.stack([self._of(*column) for column in self._columns(e, batch)])
        return of_columns.sum() if self.aggregation == "sum" else of_columns.mean()

    def _columns(self, e: Embedded, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """The vectors and ids of each column."""
        yield e.q, batch.query_ids
        for slot in range(batch.positives if self.documents == "positives" else e.d.shape[1]):
            yield e.d[:, slot], batch.doc_ids[:, slot]

    def _of(self, emb: Float[Tensor, "B D"], ids: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        unit, ids = of_all_ranks(F.normalize(emb, dim=-1), ids)
        there = ids >= 0
        apart = (ids[:, None] != ids) & there[:, None] & there
        cosines = (unit @ unit.T).masked_fill(~apart, 0.0)
        pairs = apart.sum().clamp(min=1)  # of none the term is 0
        first, second = cosines.sum() / pairs, cosines.square().sum() / pairs
        return self.mean_weight * first.square() + self.second_moment_weight * F.relu(second - 1 / emb.shape[1])
