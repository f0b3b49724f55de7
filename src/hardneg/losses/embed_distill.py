"""Embedding distillation: the student's vectors must equal a teacher's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.base import VectorLoss
from hardneg.matrix.batch import Batch
from hardneg.matrix.embedded import Embedded

DISTANCES = ("cosine", "l2", "mse")
DOCUMENTS = ("positives", "all", "none")


class EmbedDistill(VectorLoss):
    """The distance of queries and documents to another bi-encoder's (EmbedDistill, Kim et al. 2023, arXiv:2301.12005).

    `distance` is "cosine" (1 - cosine), "l2" (the paper's) or "mse", the mean of the squared components. Queries and
    each slot of documents (`positives`, `all` that were drawn, or `none`) count equally, as columns do in
    `EmbedDistillLoss` of sentence-transformers. What the teacher has not embedded does not count.

    `teacher` says whose vectors they are; they come with the batch. Where theirs are wider or narrower than ours a
    linear `projection` of ours, trained along, is compared ("auto"); it is not part of the model. Only vectors of the
    full width are compared.

    Raises `ConfigError` for another `distance`, `documents` or `projection`.
    """

    alone = True
    at_all_widths = False

    def __init__(
        self,
        teacher: Any = None,
        distance: str = "cosine",
        documents: str = "positives",
        projection: bool | str = "auto",
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        if distance not in DISTANCES:
            raise ConfigError(f"loss.embed_distill.distance must be one of {', '.join(DISTANCES)}, got {distance!r}")
        if documents not in DOCUMENTS:
            raise ConfigError(f"loss.embed_distill.documents must be one of {', '.join(DOCUMENTS)}, got {documents!r}")
        if not isinstance(projection, bool) and projection != "auto":
            raise ConfigError(f"loss.embed_distill.projection must be true, false or auto, got {projection!r}")
        self.teacher, self.distance, self.documents, self.wanted = teacher, distance, documents, projection
        self.projection: nn.Linear | None = None

    @property
    def may_learn(self) -> bool:  # type: ignore[override]
        """Whether it may have a projection once the widths are known."""
        return self.wanted is not False

    def make_projection(self, ours: int, theirs: int) -> None:
        """Make the projection for vectors of these widths, with random weights; before the optimizer is made.

        Raises `ConfigError` for different widths where there is to be none.
        """
        if self.wanted is True or (self.wanted == "auto" and ours != theirs):
            self.projection = nn.Linear(ours, theirs)
        elif ours != theirs:
            raise ConfigError(
                f"loss.embed_distill: vectors have {ours} components and the teacher's {theirs}; set"
                " loss.embed_distill.projection=auto"
            )

    def forward(self, e: Embedded, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean distance over the columns of which the teacher knows any row."""
        means, known = zip(*(self._mean(*column) for column in self._columns(e, batch)), strict=True)
        return torch.stack(means).sum() / torch.stack(known).sum().clamp(min=1)

    def _columns(self, e: Embedded, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """Our vectors and the teacher's, of each column."""
        assert batch.teacher_queries is not None, "the batch brings the teacher's vectors"
        yield e.q, batch.teacher_queries
        if batch.teacher_docs is not None:
            # The batch has those of the positives alone, or of all slots.
            for slot in range(batch.teacher_docs.shape[1]):
                yield e.d[:, slot], batch.teacher_docs[:, slot]

    def _mean(self, ours: Float[Tensor, "B D"], theirs: Float[Tensor, "B T"]) -> tuple[Tensor, Tensor]:
        """The mean distance of the rows that are known, 0 for none, and whether there are any."""
        known = ~theirs.isnan().any(dim=1)
        each = self._distance(ours if self.projection is None else self.projection(ours), theirs.nan_to_num(0.0))
        return each.masked_fill(~known, 0.0).sum() / known.sum().clamp(min=1), known.any()

    def _distance(self, ours: Float[Tensor, "B T"], theirs: Float[Tensor, "B T"]) -> Float[Tensor, " B"]:
        if self.distance == "cosine":
            return 1 - F.cosine_similarity(ours, theirs, dim=-1)
        if self.distance == "l2":
            return (ours - theirs).norm(dim=-1)
        return (ours - theirs).square().mean(dim=-1)
