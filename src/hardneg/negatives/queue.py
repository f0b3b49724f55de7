"""Queued negatives: the documents of earlier steps, with their vectors of that time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Columns
from hardneg.matrix.membership import among
from hardneg.negatives.base import OnlineSource
from hardneg.system import collectives


class Queue(OnlineSource):
    """Offer the last `size` documents of earlier steps, on all ranks, to every row, without gradient.

    With `encoder.momentum` this is MoCo's dictionary (He et al., arXiv:1911.05722; Contriever, arXiv:2112.09118),
    without it cross-batch memory (Wang et al., arXiv:1912.06798), which adds no negatives before `warmup_steps` batches
    (each of those that are accumulated counts), while embeddings still drift fast. With `hard` the drawn negatives
    enter too, not only the positives.

    It starts empty and offers nothing that it has not seen. The latest vector of a document counts: a copy
    in the batch at hand, or a later one in the queue or in the same batch, replaces the earlier, whose place stays
    empty until its turn. So with `logq` a positive is corrected by the chance that the rows seen hold it at all. What
    the batch holds is left to in_batch, but for these positives: a popular document is in nearly every batch, and an
    estimate over all documents that leaves it out is hardly one. Nor does a drawn copy take the place of a positive,
    which would no longer be corrected.

    Raises `ConfigError` for a `size` below 1 and a negative `warmup_steps`.
    """

    emb: Float[Tensor, "S D"]
    ids: Int[Tensor, " S"]
    steps: Int[Tensor, ""]
    pointer: Int[Tensor, ""]
    sampled: Bool[Tensor, " S"]  # with logq: the places that a positive has taken

    def __init__(self, size: int = 4096, hard: bool = True, warmup_steps: int = 0, logq: bool = False) -> None:
        super().__init__(logq)
        if size < 1:
            raise ConfigError(f"negatives.queue.size must be positive, got {size}")
        if warmup_steps < 0:
            raise ConfigError(f"negatives.queue.warmup_steps must not be negative, got {warmup_steps}")
        self.size, self.hard, self.warmup_steps = size, hard, warmup_steps
        self.kept_documents = size
        self.register_buffer("emb", torch.zeros(size, 0))  # the width comes with the first documents
        self.register_buffer("ids", torch.full((size,), -1))
        self.register_buffer("pointer", torch.tensor(0))
        self.register_buffer("steps", torch.tensor(0))
        if logq:
            self.register_buffer("sampled", torch.zeros(size, dtype=torch.bool))

    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer `size` columns; those not filled yet, or left to the batch at hand, have the id -1."""
        in_batch = among(self.ids, collectives.gather(batch.doc_ids.flatten()).sort().values)
        in_batch = in_batch & ~self.sampled if self.logq else in_batch
        void = in_batch | (self.steps < self.warmup_steps)
        # A copy: `update` writes into the buffer before the backward pass reads what scores were computed from.
        emb = self.emb.clone() if self.emb.shape[1] else self.emb.new_zeros(self.size, q.shape[1])
        columns = Columns(emb=emb, ids=self.ids.masked_fill(void, -1), owner=torch.full_like(self.ids, -1))
        if not self.logq:
            return columns
        held = -torch.expm1(self.sampled.sum() * torch.log1p(-self.share(columns.ids)))
        return replace(columns, log_q=held.log().masked_fill(~self.sampled, torch.nan))

    @torch.no_grad()
    def update(self, d: Float[Tensor, "B G D"], batch: Batch) -> None:
        """Put this step's documents of all ranks in the place of the oldest."""
        slots = d.shape[1] if self.hard else batch.positives
        ids = collectives.gather(batch.doc_ids[:, :slots].flatten())
        emb = collectives.gather(d[:, :slots].flatten(0, 1).detach())
        if not self.emb.shape[1]:
            self.emb = emb.new_zeros(self.size, emb.shape[1])
        rows, places, count = self._places(ids >= 0)  # padding takes no place: `size` counts documents
        some = count > 0
        own, held = ids, self.ids  # what replaces each other has the same number
        if self.logq:
            positive = collectives.gather(batch.source[:, :slots].flatten()) == 0
            own, held = apart(ids, positive), apart(self.ids, self.sampled)
        ids = ids.masked_fill(last_copies(own) < 0, -1)[rows]
        self.ids.masked_fill_(among(held, own[rows].where(some, -1).sort().values), -1)
        self.ids[places] = ids.where(some, self.ids[places])
        self.emb[places] = emb[rows].where(some, self.emb[places])
        if self.logq:
            self.sampled[places] = positive[rows].where(some, self.sampled[places])
        self.pointer.copy_((self.pointer + count) % self.size)
        self.steps += 1

    def _places(self, taken: Bool[Tensor, " n"]) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"], Int[Tensor, ""]]:
        """Say which rows enter, the last `size` of those `taken`, which places they take, and how many they are.

        Only the device knows how many, and asking it would make the host wait. So the lists have their maximum length,
        and where there are fewer, repeat the last row in its place.
        """
        every = taken.sum()
        count = every.clamp(max=self.size)
        order = (~taken).to(torch.uint8).argsort(stable=True)  # the taken first, in their order
        nth = torch.arange(min(len(taken), self.size), device=taken.device).minimum(count - 1).clamp(min=0)
        return order[every - count + nth], (self.pointer + nth) % self.size, count

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        width = state_dict[prefix + "emb"].shape[1] if prefix + "emb" in state_dict else 0
        self.emb = self.emb.new_zeros(self.size, width)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def last_copies(ids: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
    """Return the ids, -1 in place of every copy of an id but the last; does not wait for the device."""
    ascending, order = ids.sort(stable=True)
    repeated = torch.zeros_like(ids, dtype=torch.bool)
    repeated[order[:-1]] = ascending[:-1] == ascending[1:]
    return ids.masked_fill(repeated, -1)


def apart(ids: Int[Tensor, " n"], positive: Bool[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Number documents that came as positives apart from the same ones that did not; -1 stays -1."""
    return torch.where(ids < 0, -1, 2 * ids + positive)
