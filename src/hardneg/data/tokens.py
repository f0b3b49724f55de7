"""Token ids of a whole column of texts, made once and memory-mapped by every job, worker and rank."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from tokenizers import Tokenizer
from tqdm import tqdm

from hardneg.batch import Tokens
from hardneg.data.cache import built_once, fingerprint
from hardneg.data.mapped import Mapped
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

BLOCK = 1024  # texts tokenised at a time: bounds memory and moves the progress bar

Prompts = Sequence[tuple[range, str]]  # rows and the prompt in front of their texts


@dataclass(frozen=True)
class Side:
    """How one side (queries or documents) becomes tokens: a prompt in front, and a longest length in tokens."""

    prompt: str = ""
    max_length: int = 128

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise ConfigError(f"max_length must be at least 2 tokens, got {self.max_length}")


class TokenTable:
    """Token ids of every row of a `Texts`, flat on disk (`ids.npy`, `offsets.npy`)."""

    def __init__(self, folder: Path, pad_id: int) -> None:
        self._ids, self._offsets = Mapped(folder / "ids.npy"), Mapped(folder / "offsets.npy")
        self.pad_id = pad_id
        self.key = folder.name  # names texts, tokenizer, prompt and length

    @classmethod
    def build(
        cls, texts: Texts, tokenizer: Tokenizer, side: Side, cache: Path, what: str, prompts: Prompts = ()
    ) -> TokenTable:
        """Open the table of these texts, tokenizer, prompts and length, tokenising only if nobody has yet.

        `prompts` are those of some of the rows, in place of the side's; they come in the order of the rows.
        """
        prompts = [(rows, prompt) for rows, prompt in prompts if prompt != side.prompt]
        own = [[[rows.start, rows.stop, prompt] for rows, prompt in prompts]] if prompts else []
        key = fingerprint([texts.fingerprint, json.loads(tokenizer.to_str()), side.prompt, side.max_length, *own])
        folder = built_once(
            cache / "tokens" / key, lambda unfinished: _tokenise(texts, tokenizer, side, unfinished, what, prompts)
        )
        padding = tokenizer.padding
        return cls(folder, padding["pad_id"] if padding else 0)

    def __len__(self) -> int:
        return len(self._offsets.array) - 1

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " n"]:
        """The number of tokens of every row."""
        return np.diff(self._offsets.array)

    def batch(self, rows: np.ndarray) -> Tokens:
        """Return these rows padded to the longest of them; row -1 becomes a single padding token."""
        known = rows >= 0
        lengths = np.where(known, self.lengths[rows], 1)
        starts = self._offsets.array[rows]
        columns = np.arange(lengths.max(initial=1))
        mask = columns < lengths[:, None]
        ids = np.full(mask.shape, self.pad_id, np.int64)
        filled = mask & known[:, None]
        ids[filled] = self._ids.array[(starts[:, None] + columns)[filled]]
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(lengths))


def token_tables(
    data: RetrievalData, tokenizer: Tokenizer, query: Side, document: Side, cache: Path
) -> tuple[TokenTable, TokenTable]:
    """Open the tables of a data set's queries and documents, each set in it with its own prompts."""
    asked = [(part.queries, part.query_prompt) for part in data.parts if part.query_prompt is not None]
    held = [(part.docs, part.document_prompt) for part in data.parts if part.document_prompt is not None]
    return (
        TokenTable.build(data.queries, tokenizer, query, cache, "queries", asked),
        TokenTable.build(data.corpus, tokenizer, document, cache, "documents", held),
    )


def _tokenise(texts: Texts, tokenizer: Tokenizer, side: Side, folder: Path, what: str, prompts: Prompts) -> None:
    tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy: truncation is ours, the caller's stays as it was
    tokenizer.no_padding()
    tokenizer.enable_truncation(side.max_length)
    counts = [np.zeros(1, np.int64)]
    flat: list[np.ndarray] = []
    for start in tqdm(range(0, len(texts), BLOCK), desc=f"tokenise {what}", leave=False, disable=None):
        block = texts.texts.slice(start, BLOCK).to_pylist()
        before = [side.prompt] * len(block)
        for rows, prompt in prompts:
            for row in range(max(rows.start, start), min(rows.stop, start + len(block))):
                before[row - start] = prompt
        encoded = tokenizer.encode_batch_fast([prompt + text for prompt, text in zip(before, block, strict=True)])
        counts.append(np.array([len(e) for e in encoded], np.int64))
        flat.extend(np.array(e.ids, np.int32) for e in encoded)
    lengths = np.concatenate(counts)
    if (empty := np.flatnonzero(lengths[1:] == 0)).size:
        # A text without any known token still needs one row of the score matrix.
        lengths[1:][empty] = 1
        unknown = np.zeros(1, np.int32)
        flat = [ids if len(ids) else unknown for ids in flat]
    np.save(folder / "ids.npy", np.concatenate(flat))
    np.save(folder / "offsets.npy", np.cumsum(lengths))
    log.info("tokenised %d %s: %.1f tokens each", len(texts), what, lengths.sum() / max(len(texts), 1))
