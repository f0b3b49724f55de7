"""What one training step reads: token ids, document ids and where each document came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Tokens:
    """Right-padded token ids; `lengths` stays on the CPU, so that cutting a batch into parts never waits for a GPU.

    `prompt` is how many of a row's first tokens are its prompt, with what the tokenizer puts before it; never all. Null
    where there are no prompts, or they do not matter.
    """

    input_ids: Int[Tensor, "R L"]
    attention_mask: Bool[Tensor, "R L"]
    lengths: Int[Tensor, " R"]
    prompt: Int[Tensor, " R"] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """The arguments of a network that does not take lengths."""
        return self.arguments(lengths=False)

    def arguments(self, lengths: bool) -> tuple[Tensor | None, ...]:
        """The arguments of a network, which takes `lengths` or not; where there is a prompt it comes last."""
        read = (self.input_ids, self.attention_mask, self.lengths if lengths else None, self.prompt)
        return read if self.prompt is not None else read[:3] if lengths else read[:2]

    def part(self, rows: Tensor) -> Tokens:
        """Take these rows (CPU indices) and trim the padding that none of them needs."""
        lengths = self.lengths[rows]
        width = int(lengths.max())
        index = rows.to(self.input_ids.device, non_blocking=True)
        prompt = None if self.prompt is None else self.prompt[index]
        return Tokens(self.input_ids[index, :width], self.attention_mask[index, :width], lengths, prompt)

    def below(self, other: Tokens) -> Tokens:
        """Append another's rows, padded to the wider of the two."""
        width = max(self.input_ids.shape[1], other.input_ids.shape[1])
        wide = [F.pad(t.input_ids, (0, width - t.input_ids.shape[1])) for t in (self, other)]
        masks = [F.pad(t.attention_mask, (0, width - t.attention_mask.shape[1])) for t in (self, other)]
        prompt = None
        if self.prompt is not None or other.prompt is not None:
            none = [t.input_ids.new_zeros(len(t)) for t in (self, other)]
            prompt = torch.cat([z if t.prompt is None else t.prompt for t, z in zip((self, other), none, strict=True)])
        return Tokens(torch.cat(wide), torch.cat(masks), torch.cat([self.lengths, other.lengths]), prompt)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Tokens:
        """Move all but `lengths`."""
        return replace(
            self,
            input_ids=self.input_ids.to(device, non_blocking=non_blocking),
            attention_mask=self.attention_mask.to(device, non_blocking=non_blocking),
            prompt=None if self.prompt is None else self.prompt.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Tokens:
        """Pin what moves, for asynchronous copies to a GPU."""
        return replace(
            self,
            input_ids=self.input_ids.pin_memory(),
            attention_mask=self.attention_mask.pin_memory(),
            prompt=None if self.prompt is None else self.prompt.pin_memory(),
        )


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Row i is one query, some of its positives (slots 0 to `positives` - 1) and its drawn negatives (the other slots).

    Slot 0 always holds a document; `-1` pads the rest of `doc_ids`, and `positive_ids`. NaN in `teacher` means unknown.
    `positive_ids` names the documents that are no negatives of the row's query: every known positive, also under other
    ids of the same text, those that a source has relabelled as positives, and the document that is the query itself, if
    any.
    """

    query_ids: Int[Tensor, " B"]
    doc_ids: Int[Tensor, "B G"]
    source: Int[Tensor, "B G"]
    positive_ids: Int[Tensor, "B P"]
    teacher: Float[Tensor, "B G"] | None = None
    positives: int = 1

    def __len__(self) -> int:
        return len(self.query_ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Rows:
        """Move every tensor (Lightning calls this)."""
        return self._map(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Rows:
        """Pin every tensor (the data loader calls this)."""
        return self._map(lambda part: part.pin_memory())

    def _map(self, change: Callable[[Any], Any]) -> Rows:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        still = (int, type(None))
        changed: dict[str, Any] = {n: part if isinstance(part, still) else change(part) for n, part in values.items()}
        return type(self)(**changed)


@dataclass(frozen=True, kw_only=True)
class Batch(Rows):
    """What a dual encoder reads: the queries, and the B*G documents row by row.

    `teacher_queries` and `teacher_docs` are vectors of another encoder, NaN where it has none; the latter of the first
    S slots of each row.
    """

    queries: Tokens
    docs: Tokens
    teacher_queries: Float[Tensor, "B T"] | None = None
    teacher_docs: Float[Tensor, "B S T"] | None = None
