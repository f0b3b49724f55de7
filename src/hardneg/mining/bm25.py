"""BM25, the lexical miner and baseline, through bm25s."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
from jaxtyping import Float32

from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Ranker, Task
from hardneg.mining.bm25_tokens import are_words, check_tokens, name_of, resolved, splitter
from hardneg.retrieval.model import Model

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG when imported


@dataclass(frozen=True)
class BM25(Miner):
    """Okapi BM25 (Robertson & Zaragoza 2009) as bm25s computes it (Lu 2024, arXiv:2407.03618).

    `language` chooses the Snowball stemmer ("english", "german", ...; null for none); `stopwords` is a language code
    that bm25s knows or null.

    `tokens` says how texts are cut: by `blanks`; `by_script`, where scripts without blanks (Chinese, Japanese, Thai,
    Lao, Khmer, Burmese) are cut into pairs of characters; `auto`, which is `by_script` where such a script is among the
    texts; into `pairs` of characters in all scripts; or as an encoder does, by the tokenizer.json of a model's folder,
    whose tokens are neither stemmed nor left out as stop words.
    """

    k1: float = 1.2
    b: float = 0.75
    language: str | None = "english"
    stopwords: str | None = "en"
    tokens: str = "auto"

    def __post_init__(self) -> None:
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigError(f"BM25 needs k1 >= 0 and 0 <= b <= 1, got k1={self.k1}, b={self.b}")
        if self.language is not None and self.language not in Stemmer.algorithms():
            raise ConfigError(
                f"BM25 has no stemmer for {self.language!r}; choose from {', '.join(Stemmer.algorithms())}"
            )
        check_tokens(self.tokens)

    def identity(self) -> dict[str, Any]:
        """Parameters and the library's version; tokens by blanks, which were the only ones once, go without saying."""
        named = {"miner": "bm25", "bm25s": version("bm25s"), **asdict(self), "tokens": name_of(self.tokens)}
        if self.tokens in ("auto", "blanks"):
            del named["tokens"]
        return named

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> BM25:
        """Return the miner with its way to cut these texts."""
        return replace(self, tokens=resolved(self.tokens, data))

    def open(self, task: Task) -> Ranker:
        """Index the pool; documents that share no token with a query (score 0) will not be among its hits."""
        index = bm25s.BM25(k1=self.k1, b=self.b)
        # Token ids rather than words: half the memory, and queries meet unknown words without an error.
        tokenizer = bm25s.tokenization.Tokenizer(
            splitter=splitter(resolved(self.tokens, task.data)),
            stemmer=self._stemmer(),
            stopwords=(self.stopwords if are_words(self.tokens) else None) or [],
        )
        index.index(tokenizer.tokenize(task.data.corpus.take(task.pool), show_progress=False), show_progress=False)
        place = np.full(len(task.data.corpus), -1)
        place[task.pool] = np.arange(len(task.pool))

        def rank(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
            asked = tokenizer.tokenize(task.data.queries.take(queries), update_vocab=False, show_progress=False)
            width = min(k, len(task.pool))
            ids = np.full((len(queries), k), -1, np.int32)
            scores = np.full((len(queries), k), -np.inf, np.float32)
            some = [row for row, words in enumerate(asked) if len(words)]  # bm25s cannot score an empty query
            if some:
                found = index.retrieve([asked[row] for row in some], k=width, show_progress=False)
                ids[some, :width], scores[some, :width] = task.pool[found.documents], found.scores
            nothing = ~(scores > 0)
            ids[nothing], scores[nothing] = -1, -np.inf
            return Hits(ids, scores, _positives(index, asked, place[positives], positives))

        return rank

    def _stemmer(self) -> Any:
        return None if self.language is None or not are_words(self.tokens) else Stemmer.Stemmer(self.language)


def _positives(
    index: bm25s.BM25, queries: list[list[int]], places: np.ndarray, positives: np.ndarray
) -> Float32[np.ndarray, "Q P"]:
    """Score each query's positives: 0 where they share no word, NaN for those outside the pool."""
    scores = np.full(positives.shape, np.nan, np.float32)
    known = (positives >= 0) & (places >= 0)
    for row in np.flatnonzero(known.any(axis=1)):
        words = queries[row]
        found = index.get_scores_from_ids(words) if len(words) else np.zeros(int(places.max()) + 1, np.float32)
        scores[row, known[row]] = found[places[row, known[row]]]
    return scores
