"""Token ids of a whole column of texts, made once and memory-mapped by every job, worker and rank."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int32, Int64
from tokenizers import Tokenizer

from hardneg.data.prompts import Prompts, document_prompts, query_prompts
from hardneg.data.tables import RetrievalData, Texts
from hardneg.data.truncation import Truncation
from hardneg.data.word_by_word import WordByWord
from hardneg.errors import ConfigError
from hardneg.matrix.batch import Tokens
from hardneg.system.cache import built_once, fingerprint
from hardneg.system.memory_map import Held, Mapped
from hardneg.system.progress import progress
from hardneg.system.row_writer import FlatWriter
from hardneg.system.screen import in_short

log = logging.getLogger(__name__)

AUTO = "auto"
CUT = "cut.json"  # in a table's folder: what the longest length took away
UNCUT = 1_000_000  # tokens: a longest length at which no text is cut
BLOCK = 4096  # texts tokenised at a time: bounds memory and moves the progress bar


@dataclass(frozen=True)
class Side:
    """How one side (queries or documents) becomes tokens: a prompt in front, and a longest length in tokens.

    Either may be `auto`, until the encoder's recipe says what it is (`EncoderRecipe.resolved`).

    Raises `ConfigError` for fewer than 2 tokens.
    """

    prompt: str = ""
    max_length: int | str = 128

    def __post_init__(self) -> None:
        if self.max_length != AUTO and (isinstance(self.max_length, str) or self.max_length < 2):
            raise ConfigError(f"max_length must be at least 2 tokens, or auto, got {self.max_length}")

    @property
    def open(self) -> bool:
        """Whether something is left to the encoder."""
        return AUTO in (self.prompt, self.max_length)

    def settled(self, prompt: str, max_length: int) -> Side:
        """Return the side with these in place of what it leaves open."""
        return Side(
            prompt if self.prompt == AUTO else self.prompt,
            max_length if self.max_length == AUTO else self.max_length,
        )

    @property
    def longest(self) -> int:
        """The longest length, once it is known."""
        assert isinstance(self.max_length, int), "EncoderRecipe.resolved() comes first"
        return self.max_length


class Tokeniser:
    """Makes the tokens of one side's texts: the prompt in front, cut at the longest length, and never none."""

    def __init__(self, tokenizer: Tokenizer, side: Side) -> None:
        padding = tokenizer.padding
        assert not side.open, "EncoderRecipe.resolved() comes first"
        self.side, self.pad_id = side, padding["pad_id"] if padding else 0
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy: the caller's stays as it was
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(side.longest)
        self._special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        self._by_words = WordByWord(tokenizer, side.longest) if WordByWord.suits(tokenizer) else None

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[str] | None = None, cut: Truncation | None = None
    ) -> list[Int32[np.ndarray, " _"]]:
        """Return the token ids of each text; `prompts` are the texts' own, in place of the side's.

        What the longest length takes away is counted in `cut`.
        """
        prompts = [self.side.prompt] * len(texts) if prompts is None else prompts
        encoded = self._tokenizer.encode_batch_fast([p + text for p, text in zip(prompts, texts, strict=True)])
        if cut is not None:
            for one in encoded:
                # What is cut off comes in pieces, each with the special tokens of a whole text.
                rest = sum(len(piece) - self._special for piece in one.overflowing)
                cut.add(len(one), len(one) + rest)
        # A text without any known token still needs one row of the score matrix.
        return [np.array(one.ids or [0], np.int32) for one in encoded]

    def prompt_length(self, prompt: str) -> int:
        """How many tokens a prompt is, with what the tokenizer puts before it, as sentence-transformers counts."""
        if not prompt:
            return 0
        encoded = self._tokenizer.encode(prompt)
        return len(encoded) - (encoded.special_tokens_mask[-1:] == [1])

    def block(
        self, texts: pa.LargeStringArray, prompts: Sequence[str] | None, cut: Truncation
    ) -> tuple[Int32[np.ndarray, " total"], Int64[np.ndarray, " n"]]:
        """Return the tokens of these texts one after the other, and how many each has."""
        if self._by_words is None:
            ids = self(texts.to_pylist(), prompts, cut)
            return np.concatenate(ids), np.array([len(row) for row in ids], np.int64)
        if prompts is not None or self.side.prompt:
            before = [self.side.prompt] * len(texts) if prompts is None else prompts
            texts = pa.array([p + text for p, text in zip(before, texts.to_pylist(), strict=True)], pa.large_string())
        flat, lengths, whole = self._by_words(texts)
        cut.add_all(lengths, whole)
        return flat, lengths

    def table(self, texts: Sequence[str], cut: Truncation | None = None) -> TokenTable:
        """Tokenise texts into a table in memory; what is cut off is counted in `cut`."""
        ids = self(texts, None, cut)
        flat, prompted = np.concatenate([*ids, np.empty(0, np.int32)]), self.prompt_length(self.side.prompt)
        return TokenTable(Held(flat), Held(_offsets(ids)), self.pad_id, prompt=prompted)


class TokenTable:
    """Token ids of every row of a `Texts`, flat on disk (`ids.npy`, `offsets.npy`), or of a few texts in memory.

    `key` names texts, tokenizer, prompt and length; a table in memory has none. `prompt` is how many tokens the prompt
    of a row is, `prompts` how many it is of the rows that have another one, in the order of the rows.
    """

    def __init__(
        self,
        ids: Mapped | Held,
        offsets: Mapped | Held,
        pad_id: int,
        key: str = "",
        prompt: int = 0,
        prompts: Sequence[tuple[range, int]] = (),
    ) -> None:
        self._ids, self._offsets, self.pad_id, self.key = ids, offsets, pad_id, key
        self._prompt, self._prompts = prompt, prompts

    @classmethod
    def build(
        cls, texts: Texts, tokenizer: Tokenizer, side: Side, cache: Path, what: str, prompts: Prompts = ()
    ) -> TokenTable:
        """Open the table of these texts, tokenizer, prompts and length, tokenising only if nobody has yet.

        `prompts` are those of some of the rows, in place of the side's; they come in the order of the rows.
        """
        prompts = [(rows, prompt) for rows, prompt in prompts if prompt != side.prompt]
        own = [[[rows.start, rows.stop, prompt] for rows, prompt in prompts]] if prompts else []
        tokeniser = Tokeniser(tokenizer, side)
        key = fingerprint([texts.fingerprint, json.loads(tokenizer.to_str()), side.prompt, side.max_length, *own])
        folder = built_once(
            cache / "tokens" / key, lambda unfinished: _tokenise(texts, tokeniser, unfinished, what, prompts)
        )
        cut = Truncation.read(folder / CUT)
        if said := cut.told(what, "max_length"):
            log.info("%s", said, extra=in_short(cut.in_short(what, "max_length")))
        return cls(
            Mapped(folder / "ids.npy"),
            Mapped(folder / "offsets.npy"),
            tokeniser.pad_id,
            folder.name,
            tokeniser.prompt_length(side.prompt),
            [(rows, tokeniser.prompt_length(prompt)) for rows, prompt in prompts],
        )

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
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(lengths), self._prompted(rows))

    def _prompted(self, rows: np.ndarray) -> torch.Tensor | None:
        """How many of each row's first tokens are its prompt, but for the last token of all; None of no prompts."""
        if not self._prompt and not any(length for _, length in self._prompts):
            return None
        found = np.full(len(rows), self._prompt)
        for those, length in self._prompts:
            found[(rows >= those.start) & (rows < those.stop)] = length
        return torch.from_numpy(np.where(rows >= 0, np.minimum(found, self.lengths[rows] - 1), 0))


def token_tables(
    data: RetrievalData, tokenizer: Tokenizer, query: Side, document: Side, cache: Path
) -> tuple[TokenTable, TokenTable]:
    """Open the tables of a data set's queries and documents, each set in it with its own prompts."""
    return (
        TokenTable.build(data.queries, tokenizer, query, cache, "queries", query_prompts(data)),
        TokenTable.build(data.corpus, tokenizer, document, cache, "documents", document_prompts(data)),
    )


def _tokenise(texts: Texts, tokeniser: Tokeniser, folder: Path, what: str, prompts: Prompts) -> None:
    lengths = np.zeros(len(texts) + 1, np.int64)
    cut = Truncation(tokeniser.side.longest)
    with progress(len(texts), f"tokenise {what}", "texts") as bar, FlatWriter(folder / "ids.npy", np.int32) as flat:
        for start in range(0, len(texts), BLOCK):
            block = texts.texts.slice(start, BLOCK)
            before = [tokeniser.side.prompt] * len(block)
            for rows, prompt in prompts:
                for row in range(max(rows.start, start), min(rows.stop, start + len(block))):
                    before[row - start] = prompt
            ids, counts = tokeniser.block(block, before if prompts else None, cut)
            flat.put(ids)
            lengths[start + 1 : start + 1 + len(counts)] = counts
            bar.update(len(block))
    np.save(folder / "offsets.npy", lengths.cumsum())
    cut.write(folder / CUT)
    log.info("tokenised %s %s: %.1f tokens each", f"{len(texts):,}", what, lengths.sum() / max(len(texts), 1))


def _offsets(rows: Sequence[np.ndarray]) -> Int64[np.ndarray, " rows_plus_1"]:
    return np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
