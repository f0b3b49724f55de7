"""The guide: another encoder says which candidates are too close to the positive to be negatives (GIST)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter, check_reduce, judged_sources
from hardneg.filters.score_margin import highest_allowed
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.other_encoder import OtherVectors, similarities

STRATEGIES = ("absolute", "relative")


class Guide(CandidateFilter):
    """Keep what another encoder places at most at its similarity of the row's query and positive, less the margin.

    GISTEmbed (Solatorio 2024, arXiv:2402.16829), and the margins of sentence-transformers' `GISTEmbedLoss`: with s the
    positive's similarity the threshold is s - margin (`absolute`) or s - |s| * margin (`relative`); of several
    positives the `min`, `mean` or `max` counts (`positive`). The guide is a checkpoint of ours (`ckpt_path`) or an
    `encoder` as it comes, which computes in `precision`. Similarity is its own: the dot product of its vectors.

    It judges the candidates of these `sources` (null: of all), whoever offers them: a row's drawn negatives, the other
    rows' documents on all ranks, a queue, and with negatives=blocks queries beside queries and documents beside
    documents. Its vectors are made before training, once a text, and come with `read`; what it has not embedded is
    unknown and kept, as is all of a row whose positive is unknown.

    Raises `ConfigError` for another `margin_strategy`, a relative `margin` outside 0 to 1, and what
    `judged_sources` refuses.
    """

    def __init__(
        self,
        ckpt_path: str | None = None,
        encoder: Any = None,
        precision: str = "auto",
        margin_strategy: str = "absolute",
        margin: float = 0.0,
        positive: str = "min",
        sources: Sequence[str] | None = None,
        at: str = "live",
    ) -> None:
        super().__init__(at)
        check_reduce(positive)
        if margin_strategy not in STRATEGIES:
            raise ConfigError(f"margin_strategy must be one of {', '.join(STRATEGIES)}, got {margin_strategy!r}")
        if margin_strategy == "relative" and not 0 <= margin < 1:
            raise ConfigError(f"a relative margin is a share of the positive's similarity, 0 to 1, got {margin}")
        if sources is not None and at != "live":
            raise ConfigError(
                f"sources chooses among those of live batches, and at={at}: leave it out, or take at=live"
            )
        self.ckpt_path, self.encoder, self.precision = ckpt_path, encoder, precision
        self.margin_strategy, self.margin, self.positive = margin_strategy, float(margin), positive
        self.only = judged_sources(sources)  # a name in the fingerprints of stores
        self._vectors: OtherVectors | None = None

    @property
    def sources(self) -> list[str]:  # type: ignore[override]
        """The sources it judges, for the check that these exist; empty: all."""
        return self.only or []

    def read(self, vectors: OtherVectors) -> None:
        """Judge by these vectors from now on; called once, before the first candidates."""
        self._vectors = vectors

    def identity(self) -> dict[str, Any]:
        """The settings, and the guide by its weights and tokens instead of by its place."""
        assert self._vectors is not None, "read() comes first"
        place = ("ckpt_path", "encoder", "precision")
        settings = {key: value for key, value in super().identity().items() if key not in place}
        return settings | {"guide": self._vectors.identity()}

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is of a judged source and above the threshold."""
        if c.query_ids is None:
            return torch.ones_like(c.valid)
        assert self._vectors is not None, "read() comes first"
        scores = similarities(self._vectors, c)
        positive = c.positive_score(self.positive, scores)
        threshold = highest_allowed(positive, self.margin, self.margin_strategy == "relative")
        keep = (scores <= threshold) | scores.isnan()
        return keep if self.only is None else keep | ~c.offered_by(self.only)
