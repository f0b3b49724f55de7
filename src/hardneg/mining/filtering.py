"""Which of the mined documents may be negatives: the filters over a block of rankings, and why each was dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8

from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates
from hardneg.mining.base import Hits
from hardneg.mining.store import KEPT


def filter_hits(
    hits: Hits,
    known: Int32[np.ndarray, "Q P"],
    queries: Int32[np.ndarray, " Q"],
    filters: Mapping[str, CandidateFilter],
    score: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[UInt8[np.ndarray, "Q K"], Float32[np.ndarray, "Q PK"] | None]:
    """Say for every hit which filter dropped it first: code 0 is kept, i is the i-th filter (from 1).

    The query's known positives stand before the hits with the miner's own scores, for rules that measure against them.
    `score` gives teacher scores; it is asked only for positives and for what the cheaper filters left, before the first
    filter that reads them, or at the end. Also returns these, for positives and hits; NaN for what was never scored.
    """
    columns = known.shape[1]
    ids = torch.from_numpy(np.concatenate([known, hits.ids], axis=1)).long()
    first = torch.arange(ids.shape[1]).expand_as(ids) < columns
    c = Candidates(
        scores=torch.from_numpy(np.concatenate([hits.positives, hits.scores], axis=1)),
        ids=ids,
        positive=first & (ids >= 0),
        valid=ids >= 0,
        source=(~first).long(),
        names=("positive", "mined"),
        query_ids=torch.from_numpy(queries).long(),
        rank=torch.where(first, -1, torch.arange(ids.shape[1]) - columns),
    )
    positive_ids = torch.from_numpy(known).long()
    reasons = np.full(hits.ids.shape, KEPT, np.uint8)
    for code, rule in enumerate(filters.values(), start=1):
        if rule.at == "live":
            continue
        if rule.needs_teacher and c.teacher is None and score is not None:
            c = _scored(c, score)
        dropped = c.negative & ~rule(c, positive_ids)
        reasons[dropped[:, columns:].numpy()] = code
        c = c.keep(~dropped)
    if c.teacher is None and score is not None:
        c = _scored(c, score)
    return reasons, None if c.teacher is None else c.teacher.numpy()


def _scored(c: Candidates, score: Callable[[np.ndarray], np.ndarray]) -> Candidates:
    asked = c.ids.masked_fill(~c.valid, -1).numpy().astype(np.int32)
    return c.scored_by(torch.from_numpy(score(asked)))
