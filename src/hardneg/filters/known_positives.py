"""Label coverage: the labels of a document decide whether it may be a negative."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.distinct import distinct
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.filters.lookup import Lookup
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.membership import among
from hardneg.matrix.paired_columns import QUERY_DOCUMENT

log = logging.getLogger(__name__)

MODES = ("drop_positives", "drop_judged", "only_judged_negatives")


class KnownPositives(CandidateFilter):
    """Drop every known positive of the row's query, on every path (the qrels-aware mask of DRhard, arXiv:2104.08051).

    `positive_ids` already names all documents with the same text as a positive and the positives of all queries with
    the same text, so matching by id also matches by text. `mode` may be stricter: `drop_judged` drops everything that
    was judged for the query, `only_judged_negatives` keeps only what was judged not relevant.

    In columns other than documents against the query (negatives=blocks) it drops what the labels relate.

    Raises `ConfigError` for another `mode`.
    """

    def __init__(self, mode: str = "drop_positives", at: str = "both") -> None:
        super().__init__(at)
        if mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        self.mode = mode
        self._judged = Lookup(torch.empty(0, dtype=torch.long))
        self._width = 1

    def prepare(self, training: TrainingSet) -> None:
        """Sort the (query, document) pairs that the training split judges."""
        judged = training.data.split(training.split)
        self._width = len(training.data.corpus)
        if self.mode != "drop_positives":
            pairs = distinct(judged.queries.astype(np.int64) * self._width + judged.docs)
            self._judged = Lookup(torch.from_numpy(pairs))

    def identity(self) -> dict[str, Any]:
        """The settings, and the judgements where they count: a training set's fingerprint covers positives only."""
        judged = blake2b(self._judged.table.numpy().tobytes(), digest_size=16).hexdigest()
        return super().identity() | ({} if self.mode == "drop_positives" else {"judged": judged})

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is a known positive of its row, or where the mode forbids it."""
        keep = torch.ones_like(c.valid)
        for known in positive_ids.unbind(dim=1):  # one pass per positive, to avoid a (B, N, P) array
            keep &= c.ids != known[:, None]
        if c.paired is not None:  # other columns have no such id
            keep = torch.where(c.paired.pairing == QUERY_DOCUMENT, keep, ~c.paired.related)
        if self.mode == "drop_positives" or c.query_ids is None:
            return keep
        judged = among(c.query_ids[:, None] * self._width + c.ids, self._judged.on(c.ids.device))
        if c.paired is not None:  # queries are not judged against queries
            judged &= c.paired.pairing == QUERY_DOCUMENT
        return keep & (judged if self.mode == "only_judged_negatives" else ~judged)


def warn_of_positives(filters: Iterable[CandidateFilter]) -> None:
    """Warn where no filter keeps known positives from being negatives: a list of filters replaces the default one."""
    if not any(isinstance(rule, KnownPositives) for rule in filters):
        log.warning(
            "no filter=known_positives: documents that are labelled relevant to a query may be its negatives, from"
            " mined lists and other rows of a batch alike; add it, as in filter=[known_positives,relative_margin],"
            " unless that is what you want to study"
        )
