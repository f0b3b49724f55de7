"""BM25, the lexical miner and baseline: bm25s's tokens and scores, searched on all cores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
from jaxtyping import Int32

from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Ranker, Task
from hardneg.mining.bm25_index import BM25Index, build_index
from hardneg.mining.bm25_search import Engine, engine_for, find
from hardneg.mining.bm25_tokens import are_words, check_tokens, name_of, resolved, splitter
from hardneg.retrieval.model import Model
from hardneg.system.progress import progress

logging.getLogger("bm25s").setLevel(logging.WARNING)  # bm25s sets its logger to DEBUG when imported

BLOCK = 65_536  # documents held as Python lists at a time


@dataclass(frozen=True)
class BM25(Miner):
    """Okapi BM25 (Robertson & Zaragoza 2009) as bm25s computes it (Lu 2024, arXiv:2407.03618).

    `language` chooses the Snowball stemmer ("english", "german", ...; null for none); `stopwords` is a language code
    that bm25s knows or null.

    `tokens` says how texts are cut: by `blanks`; `by_script`, where scripts without blanks (Chinese, Japanese, Thai,
    Lao, Khmer, Burmese) are cut into pairs of characters; `auto`, which is `by_script` where such a script is among the
    texts; into `pairs` of characters in all scripts; or as an encoder does, by the tokenizer.json of a model's folder,
    whose tokens are neither stemmed nor left out as stop words.

    Raises `ConfigError` for `k1` or `b` out of range, and a language without a stemmer or without stop words.
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
        try:
            bm25s.tokenization.Tokenizer(stopwords=self.stopwords or [])
        except ValueError as error:
            raise ConfigError(
                f"BM25 has no stop words for {self.stopwords!r}; null for none, or another language, as de ({error})"
            ) from error
        check_tokens(self.tokens)

    def identity(self) -> dict[str, Any]:
        """Parameters, what decides the tokens, and the library's version."""
        return {"miner": "bm25", "bm25s": version("bm25s"), **asdict(self), "tokens": name_of(self.tokens)}

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> BM25:
        """Return the miner with its way to cut these texts."""
        return replace(self, tokens=resolved(self.tokens, data))

    def open(self, task: Task) -> Ranker:
        """Index the pool; documents that share no token with a query (score 0) will not be among its hits.

        Positives outside the pool are scored by its counts of words and lengths.
        """
        # Token ids rather than words: half the memory, and queries meet unknown words without an error.
        tokenizer = bm25s.tokenization.Tokenizer(
            splitter=splitter(resolved(self.tokens, task.data)),
            stemmer=self._stemmer(),
            stopwords=(self.stopwords if are_words(self.tokens) else None) or [],
        )
        corpus = task.data.corpus
        pool = self._index(corpus, task.pool, tokenizer)
        engine = engine_for(pool.index.size)
        rest = task.outside
        outside = self._index(corpus, rest, tokenizer, like=pool.index) if len(rest) else None
        if outside is not None:
            words = len(tokenizer.get_vocab_dict())
            pool, outside = pool.with_words(words), outside.with_words(words)

        def rank(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
            texts = task.data.queries.take(queries)
            # Documents without a token have an empty one, which a query without a known token must not share.
            asked = tokenizer.tokenize(texts, update_vocab=False, show_progress=False, allow_empty=False)
            found = pool.find(asked, positives, k, engine)
            if outside is not None:
                others = outside.find(asked, positives, 1, engine).positives
                found = replace(found, positives=np.where(np.isnan(found.positives), others, found.positives))
            return replace(found, ids=np.where(found.ids >= 0, task.pool[found.ids], np.int32(-1)))

        return rank

    def _index(
        self, corpus: Texts, rows: np.ndarray, tokenizer: bm25s.tokenization.Tokenizer, like: BM25Index | None = None
    ) -> _Indexed:
        """Index these documents, with words counted in them or as in the index `like`."""

        def blocks() -> Iterator[list[list[int]]]:
            with progress(len(rows), "index for BM25", "documents") as bar:
                for start in range(0, len(rows), BLOCK):
                    block = corpus.take(rows[start : start + BLOCK])
                    yield tokenizer.tokenize(block, update_vocab=True, show_progress=False)
                    bar.update(len(block))

        places = np.full(len(corpus) + 1, -1, np.int32)  # the last is for -1, no document
        places[rows] = np.arange(len(rows), dtype=np.int32)
        return _Indexed(build_index(blocks(), self.k1, self.b, like), places)

    def _stemmer(self) -> Any:
        return None if self.language is None or not are_words(self.tokens) else Stemmer.Stemmer(self.language)


@dataclass(frozen=True, eq=False)
class _Indexed:
    """Some documents of a corpus, and the place of each of its rows among them (-1: not there)."""

    index: BM25Index
    places: Int32[np.ndarray, " rows_plus_1"]

    def with_words(self, words: int) -> _Indexed:
        """Return the same for queries with any of this many words."""
        return replace(self, index=self.index.with_words(words))

    def find(self, asked: list[list[int]], positives: np.ndarray, k: int, engine: Engine) -> Hits:
        """Return the places of the `k` best for tokenised queries, and the scores of positives, which are rows."""
        return find(self.index, asked, self.places[positives], k, engine)
