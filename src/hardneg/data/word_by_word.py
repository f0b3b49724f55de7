"""Tokens of many texts by way of their words: each word is tokenised once, however often it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Int32, Int64
from tokenizers import Tokenizer

from hardneg.data.ragged import runs

HELD_WORDS = 262_144  # whose tokens are remembered; then it begins anew, so that memory is bounded

# Parts of a tokenizer that look at nothing beyond a blank, whichever word stands there.
NORMALIZERS = {"BertNormalizer", "Lowercase"}
PRE_TOKENIZERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
MODELS = {"BPE", "WordPiece", "WordLevel"}
POST_PROCESSORS = {"BertProcessing", "TemplateProcessing"}


class WordByWord:
    """Makes the tokens that `tokenizer` makes, cut at `longest` tokens, and never none.

    A text is cut at its blanks, and each piece that was not seen before is tokenised; the tokens of a text are those of
    its pieces, one after the other, between the special tokens. Natural language repeats its words, so a tenth of the
    time is needed. Only for tokenizers that treat each piece by itself (see `suits`).
    """

    def __init__(self, tokenizer: Tokenizer, longest: int) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy: the caller's stays as it was
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._before, self._after = self._special()
        self.longest = longest
        self._forget()

    @classmethod
    def suits(cls, tokenizer: Tokenizer) -> bool:
        """Whether the tokens of a text are those of the pieces between its blanks."""
        plain = json.loads(tokenizer.to_str())
        model, post = plain["model"], plain["post_processor"]
        whole = all(
            not (token["lstrip"] or token["rstrip"] or any(map(str.isspace, token["content"])))
            for token in plain["added_tokens"]
        )
        return (
            whole
            and (plain["normalizer"] is None or _is_in(NORMALIZERS, plain["normalizer"]))
            and _is_in(PRE_TOKENIZERS, plain["pre_tokenizer"])
            and model.get("type") in MODELS
            and not model.get("dropout")
            and (post is None or post["type"] in POST_PROCESSORS)
            and len(tokenizer.encode("a", add_special_tokens=False).ids) > 0
        )

    def _special(self) -> tuple[list[int], list[int]]:
        """Find the special tokens before and after a text."""
        whole, bare = (self._tokenizer.encode("a", add_special_tokens=special).ids for special in (True, False))
        (place, *_) = [i for i in range(len(whole)) if whole[i : i + len(bare)] == bare]
        return whole[:place], whole[place + len(bare) :]

    def _forget(self) -> None:
        self._number: dict[str, int] = {}
        self._counts = np.zeros(0, np.int64)  # tokens of each word
        self._ids = np.zeros(0, np.int32)  # one after the other

    def __call__(
        self, texts: pa.LargeStringArray
    ) -> tuple[Int32[np.ndarray, " total"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """Return the tokens of these texts one after the other, how many each has, and how many it had uncut."""
        pieces = pa.compute.split_pattern(texts, " ")
        words = pieces.flatten().dictionary_encode()
        numbers = self._numbers(words.dictionary.to_pylist())[words.indices.to_numpy()]
        ends = np.cumsum(pa.compute.list_value_length(pieces).to_numpy().astype(np.int64))
        counts = self._counts[numbers]
        reached = np.concatenate([[0], np.cumsum(counts)])[np.concatenate([[0], ends])]
        return self._cut(numbers, counts, np.diff(reached), reached[:-1])

    def _cut(
        self, words: np.ndarray, counts: np.ndarray, own: np.ndarray, first: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lay out each text: special tokens, as many of its `own` as there is room for, special tokens."""
        special = len(self._before) + len(self._after)
        kept = np.minimum(own, max(self.longest - special, 0))
        lengths = kept + special
        empty = lengths == 0  # a text without any known token still needs one row of the score matrix
        out = np.zeros(int(lengths.sum() + empty.sum()), np.int32)
        lengths[empty] = 1
        starts = np.cumsum(lengths) - lengths
        for place, token in enumerate(self._before):
            out[starts + place] = token
        for place, token in enumerate(self._after):
            out[starts + len(self._before) + kept + place] = token
        tokens = self._ids[runs((np.cumsum(self._counts) - self._counts)[words], counts)]
        out[runs(starts + len(self._before), kept)] = tokens[runs(first, kept)]
        return out, lengths, np.where(empty, 1, own + special)

    def _numbers(self, words: list[str]) -> Int64[np.ndarray, " n"]:
        """Number these words, tokenising those that are new."""
        if len(self._number) > HELD_WORDS:
            self._forget()
        new = [word for word in words if word not in self._number]
        if new:
            found = [one.ids for one in self._tokenizer.encode_batch_fast(new, add_special_tokens=False)]
            self._number.update(zip(new, range(len(self._number), len(self._number) + len(new)), strict=True))
            self._counts = np.concatenate([self._counts, [len(ids) for ids in found]])
            self._ids = np.concatenate([self._ids, *(np.array(ids, np.int32) for ids in found)])
        return np.array([self._number[word] for word in words], np.int64)


def _is_in(kinds: set[str], part: Mapping[str, Any] | None) -> bool:
    """Whether a part of a tokenizer, or each of a sequence of them, is of one of these kinds."""
    if part is None:
        return False
    several = part.get("normalizers") or part.get("pretokenizers") or []
    inside = several if part["type"] == "Sequence" else [part]
    return bool(inside) and all(one["type"] in kinds for one in inside)
