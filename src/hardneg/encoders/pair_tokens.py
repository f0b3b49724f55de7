"""Tokens of a query and a document that are read together, as a cross-encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from hardneg.data.truncation import Truncation
from hardneg.matrix.batch import Tokens


@dataclass(frozen=True)
class PairTokens(Tokens):
    """Token ids of (query, document) pairs; `segments` says which of the two a token is of, if the model wants it."""

    segments: Int[Tensor, "R L"] | None = None

    def arguments(self, lengths: bool) -> tuple[Tensor | None, ...]:
        """The arguments of a cross-encoder, none of which takes lengths."""
        return self.input_ids, self.attention_mask, self.segments

    def part(self, rows: Tensor) -> PairTokens:
        """Take these rows (CPU indices) and trim the padding that none of them needs."""
        cut = super().part(rows)
        segments = self.segments
        if segments is not None:
            index = rows.to(segments.device, non_blocking=True)
            segments = segments[index, : cut.input_ids.shape[1]]
        return PairTokens(cut.input_ids, cut.attention_mask, cut.lengths, segments=segments)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairTokens:
        """Move all but `lengths`."""
        moved = cast(PairTokens, super().to(device, non_blocking))
        if moved.segments is None:
            return moved
        return replace(moved, segments=moved.segments.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PairTokens:
        """Pin what moves."""
        pinned = cast(PairTokens, super().pin_memory())
        return pinned if pinned.segments is None else replace(pinned, segments=pinned.segments.pin_memory())


class PairTokenizer:
    """Makes tokens of (query, document) pairs, the `prompt` before each; the longer of the two texts is cut first."""

    def __init__(self, tokenizer: Any, max_length: int, prompt: str = "") -> None:
        self.prompt = prompt
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.tokenizer.no_padding()
        self._whole = Tokenizer.from_str(self.tokenizer.to_str())
        self._whole.no_truncation()
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")
        self.cut = Truncation(max_length)  # of the pairs so far
        self.pad_id = tokenizer.pad_token_id or 0
        self.reads_segments = "token_type_ids" in tokenizer.model_input_names

    def __call__(self, queries: Sequence[str], docs: Sequence[str]) -> PairTokens:
        """Tokenise at least one pair."""
        pairs = [(self.prompt + query, doc) for query, doc in zip(queries, docs, strict=True)]
        encoded = self.tokenizer.encode_batch_fast(pairs)
        self._count(pairs, encoded)
        lengths = torch.tensor([len(one) for one in encoded])
        ids = torch.full((len(encoded), int(lengths.max())), self.pad_id)
        segments = torch.zeros_like(ids)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = torch.tensor(one.ids)
            segments[row, : len(one)] = torch.tensor(one.type_ids)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return PairTokens(ids, mask, lengths, segments=segments if self.reads_segments else None)

    def _count(self, pairs: list[tuple[str, str]], encoded: Sequence[Any]) -> None:
        """Count what was cut; how long those texts were takes another reading."""
        kept = np.array([len(one) for one in encoded])
        whole, cut = kept.copy(), [row for row, one in enumerate(encoded) if one.overflowing]
        if cut:
            whole[cut] = [len(one) for one in self._whole.encode_batch_fast([pairs[row] for row in cut])]
        self.cut.add_all(kept, whole)
