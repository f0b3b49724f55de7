"""The one (queries x candidates) score matrix that every negative source adds columns to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hardneg.matrix.batch import Batch, Rows
from hardneg.matrix.paired_columns import DOCUMENT_QUERY, PairedColumns
from hardneg.matrix.sampled_columns import SampledColumns
from hardneg.system import collectives


@dataclass(frozen=True)
class Columns:
    """Documents or queries, already embedded, that an online source offers to every row of this rank.

    `owner` is the global row that brought the document, -1 where nobody in this batch did: a row never
    receives its own documents twice. `log_q` is the logarithm of how many times the source may be expected to offer
    the document, where it offers some more often than others; NaN for a document that did not come by chance.

    `pairing` (see `PairedColumns`; None: all query_document) says what a row is set against the column by, its query or
    its first positive document, and what the column is. `ids` are rows of the document table, and of the query table in
    columns of queries: a column is told from others by both. `related` marks the rows that the labels hold together
    with a column that is not query_document, as only the source knows whose it is.
    """

    emb: Float[Tensor, "M D"]
    ids: Int[Tensor, " M"]
    owner: Int[Tensor, " M"]
    log_q: Float[Tensor, " M"] | None = None
    pairing: Int[Tensor, " M"] | None = None
    related: Bool[Tensor, "B M"] | None = None


@dataclass(frozen=True)
class Candidates:
    """Scores of B queries against N candidates, with each candidate's document id and source.

    `scores` are similarities without temperature and carry the gradient. `source` indexes `names`; 0 is "positive".
    A `positive` is always `valid`.
    `reverse` holds the other direction (each of a row's P positive documents, row by row, against the batch's queries)
    where a loss asked for it; a padded positive's row holds no positive. `teacher` (NaN = unknown) exists only when a
    chosen source has teacher scores. `query_ids` are rows of the query table; `rank` (from 0) is the place in a mined
    list, -1 for what is in none. `online` are those of `names` whose columns were offered to all rows. Positives lie
    among the first `positives` columns, and all own documents among the first `slots`; None: anywhere.

    `live_teacher` are the scores of a teacher that knows every pair of the step (see `InBatch`), on a scale of its own:
    of positives, drawn negatives and columns alike.

    `sampled` exists only when a source's columns have a `log_q`, which `logits` corrects for, and `paired` only when
    they are more than documents beside the query.
    """

    scores: Float[Tensor, "B N"]
    ids: Int[Tensor, "B N"]
    positive: Bool[Tensor, "B N"]
    valid: Bool[Tensor, "B N"]
    source: Int[Tensor, "B N"]
    names: tuple[str, ...]
    teacher: Float[Tensor, "B N"] | None = None
    reverse: Candidates | None = None
    query_ids: Int[Tensor, " B"] | None = None
    rank: Int[Tensor, "B N"] | None = None
    online: tuple[str, ...] = ()
    positives: int | None = None
    slots: int | None = None
    live_teacher: Float[Tensor, "B N"] | None = None
    sampled: SampledColumns | None = None
    paired: PairedColumns | None = None

    @classmethod
    def own(
        cls, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch, names: tuple[str, ...]
    ) -> Candidates:
        """Start with each row's own documents: its positives and the negatives that were drawn for it."""
        return cls.scored(own_scores(q, d), batch, names)

    @classmethod
    def scored(cls, scores: Float[Tensor, "B G"], batch: Rows, names: tuple[str, ...]) -> Candidates:
        """The same from existing scores."""
        return cls(
            scores=scores,
            ids=batch.doc_ids,
            positive=(batch.source == 0) & (batch.doc_ids >= 0),
            valid=batch.doc_ids >= 0,
            source=batch.source.to(torch.int8),  # the matrix is as large as the scores
            names=names,
            teacher=batch.teacher,
            query_ids=batch.query_ids,
            positives=batch.positives,
            slots=batch.doc_ids.shape[1],
        )

    def add(
        self, q: Float[Tensor, "B D"], columns: Columns, name: str, rank: int = 0, d: Float[Tensor, "B D"] | None = None
    ) -> Candidates:
        """Add an online source's columns to every row; a row's own documents are masked, not repeated.

        Where columns are sampled (`log_q`), so are copies that others brought: a document counts once in the sum that
        they estimate. `d` are the rows' first positives, which only columns whose `pairing` says so are scored with.
        """
        rows = torch.arange(len(q), device=q.device) + rank * len(q)
        shape = (len(q), len(columns.ids))
        ids = columns.ids.expand(shape)
        valid = (columns.owner != rows[:, None]) & (ids >= 0)
        copies = torch.zeros_like(valid)
        if columns.log_q is not None:
            sampled = valid & ~columns.log_q.isnan()
            copies = self._repeats(ids, ~self.positive) & sampled
            copied_positives = self._repeats(ids, self.positive) & sampled
            valid, copies = valid & ~copies & ~copied_positives, copies & ~copied_positives
        grown: dict[str, Any] = {
            "scores": column_scores(q, d, columns),
            "ids": ids,
            "positive": torch.zeros(shape, dtype=torch.bool, device=q.device),
            "valid": valid,
            "source": torch.full(shape, self.names.index(name), dtype=torch.int8, device=q.device),
        }
        if self.teacher is not None:
            grown["teacher"] = torch.full(shape, torch.nan, device=q.device)
        wider: dict[str, Any] = {key: torch.cat([getattr(self, key), new], dim=1) for key, new in grown.items()}
        wider |= {"sampled": self._sampled_with(columns.log_q, copies, name), "paired": self._paired_with(columns)}
        return replace(self, **wider, online=(*self.online, name))

    def _repeats(self, ids: Int[Tensor, "B M"], of: Bool[Tensor, "B N"]) -> Bool[Tensor, "B M"]:
        """Mark documents that a row has among its own `of` a kind."""
        repeated = torch.zeros_like(ids, dtype=torch.bool)
        for own, among in zip(self.ids[:, : self.slots].unbind(dim=1), of[:, : self.slots].unbind(dim=1), strict=True):
            repeated |= (ids == own[:, None]) & among[:, None]  # one pass per document, to avoid a (B, M, G) array
        return repeated

    def _sampled_with(
        self, log_q: Float[Tensor, " M"] | None, copies: Bool[Tensor, "B M"], name: str
    ) -> SampledColumns | None:
        if self.sampled is None and log_q is None:
            return None
        held = SampledColumns.none_of(self.scores) if self.sampled is None else self.sampled
        return held.add(log_q, copies, name)

    def _paired_with(self, columns: Columns) -> PairedColumns | None:
        if self.paired is None and columns.pairing is None:
            return None
        rows, device = len(self.valid), self.valid.device
        held = self.paired or PairedColumns.plain(rows, self.valid.shape[1], device)
        new = PairedColumns.plain(rows, len(columns.ids), device)
        if columns.pairing is not None:
            new = replace(new, pairing=columns.pairing)
        if columns.related is not None:
            new = replace(new, related=columns.related)
        return held.beside(new)

    def logits(self, temperature: float | Tensor) -> Float[Tensor, "B N"]:
        """Divide the similarities by the temperature, and correct sampled columns, for a softmax.

        A softmax over sampled columns estimates the one over all documents if each column counts one over the expected
        number of its copies (Bengio & Senécal 2003; Yi et al. 2019, doi:10.1145/3298689.3346996). Yi et al. correct the
        positive like the rest. Here it is not corrected: it is not a sample, since it is always present and its copies
        are masked (Khrylchenko et al. 2025, arXiv:2507.09331). Nor are a row's drawn negatives.
        """
        logits = self.scores / temperature
        return logits if self.sampled is None else logits - self.sampled.log_q.nan_to_num(0.0)

    def with_reverse(self, other: Candidates) -> Candidates:
        """Attach the other direction, for losses that are symmetric."""
        return replace(self, reverse=other)

    def scored_by(self, teacher: Float[Tensor, "B N"]) -> Candidates:
        """Attach a teacher's scores, NaN where unknown."""
        return replace(self, teacher=teacher)

    def by_live_teacher(self) -> Candidates:
        """Use the live teacher's scores as the teacher's, for positives too."""
        return replace(self, teacher=self.live_teacher)

    @property
    def negative(self) -> Bool[Tensor, "B N"]:
        """The candidates that a loss pushes away."""
        return self.valid & ~self.positive

    @property
    def of_query(self) -> Bool[Tensor, " N"] | None:
        """The columns that are queries; None where all are documents."""
        return None if self.paired is None else self.paired.of_query

    @property
    def lowest_positive(self) -> Float[Tensor, "B 1"]:
        """The score of each row's worst-placed positive."""
        return self.positive_score("min")

    def positive_score(self, which: str, scores: Float[Tensor, "B N"] | None = None) -> Float[Tensor, "B 1"]:
        """The `min`, `mean` or `max` of a row's positives, in similarity or in other `scores`; inf where it has none.

        Positives of unknown score (NaN) do not count.
        """
        scores = self.scores if scores is None else scores
        known = self.positive & ~scores.isnan()
        if which == "mean":
            total = scores.masked_fill(~known, 0.0).sum(dim=1, keepdim=True)
            score = total / known.sum(dim=1, keepdim=True)
        elif which == "max":
            score = scores.masked_fill(~known, -torch.inf).amax(dim=1, keepdim=True)
        else:
            score = scores.masked_fill(~known, torch.inf).amin(dim=1, keepdim=True)
        return score.where(known.any(dim=1, keepdim=True), torch.inf)

    def offered_by(self, names: Sequence[str]) -> Bool[Tensor, "B N"]:
        """Mark the candidates of these sources."""
        mask = torch.zeros_like(self.valid)
        for label, name in enumerate(self.names):
            if name in names:
                mask |= self.source == label
        return mask

    def keep(self, mask: Bool[Tensor, "B N"]) -> Candidates:
        """Drop the negatives outside `mask`; a positive is never dropped."""
        sampled = None if self.sampled is None else self.sampled.keep(mask)
        return replace(self, valid=self.valid & (mask | self.positive), sampled=sampled)

    def of_sources(self, names: Sequence[str]) -> Candidates:
        """Keep the positives and the negatives of these sources; only these are averaged as samples.

        A document drawn by a source that is left out is offered by sampled copies again, as all others are.
        """
        read = self.offered_by(names)
        kept = self.keep(read)
        if kept.sampled is None:
            return kept
        needed = kept.sampled.copies & ~self._repeats(self.ids, read)
        return replace(kept, valid=kept.valid | needed, sampled=kept.sampled.keep(~needed).of_sources(names))

    def of_rows(self, mask: Bool[Tensor, " B"]) -> Candidates:
        """Leave rows outside `mask` only their positives, with no teacher scores."""
        kept = self.keep(mask[:, None])
        if self.teacher is None:
            return kept
        return replace(kept, teacher=self.teacher.masked_fill(~mask[:, None], torch.nan))

    @property
    def teacher_scores(self) -> Float[Tensor, "B N"]:
        """`teacher`, for losses that learn from it, which are refused beside sources without such scores."""
        assert self.teacher is not None, "a source that the loss reads has teacher scores"
        return self.teacher

    def graded(self) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Return the scores of the rows' own documents on all ranks, and the teacher's; NaN where that is unknown."""
        own = slice(None, self.slots)  # columns of online sources have none
        grades = self.teacher_scores[:, own].masked_fill(~self.valid[:, own], torch.nan)
        return collectives.gather(self.scores[:, own]).flatten(), collectives.gather(grades).flatten()

    def only(self, name: str) -> Candidates:
        """Keep the positives and one source's negatives; the other direction, which has no sources, is left out."""
        return replace(self.of_sources((name,)), reverse=None)


def own_scores(q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    """Score each row's own documents."""
    return torch.einsum("bd,bgd->bg", q, d)


def column_scores(q: Float[Tensor, "B D"], d: Float[Tensor, "B D"] | None, columns: Columns) -> Float[Tensor, "B M"]:
    """Score every row with a source's columns; `d` are the rows' first positives, for columns paired with these."""
    by_query = q @ columns.emb.T
    if columns.pairing is None:
        return by_query
    assert d is not None, "these columns are scored with the rows' documents"
    return torch.where(columns.pairing >= DOCUMENT_QUERY, d @ columns.emb.T, by_query)
