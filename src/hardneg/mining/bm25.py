"""BM25, the lexical miner and baseline, through bm25s."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import bm25s
import numpy as np
import Stemmer

from hardneg.data.tables import Texts
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG when imported


@dataclass(frozen=True)
class BM25:
    """Okapi BM25 (Robertson & Zaragoza 2009) as bm25s computes it (Lu 2024, arXiv:2407.03618).

    `language` chooses the Snowball stemmer ("english", "german", ...; null for none); `stopwords` is a language code
    that bm25s knows or null.
    """

    k1: float = 1.2
    b: float = 0.75
    language: str | None = "english"
    stopwords: str | None = "en"

    def __post_init__(self) -> None:
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigError(f"BM25 needs k1 >= 0 and 0 <= b <= 1, got k1={self.k1}, b={self.b}")
        if self.language is not None and self.language not in Stemmer.algorithms():
            raise ConfigError(
                f"BM25 has no stemmer for {self.language!r}; choose from {', '.join(Stemmer.algorithms())}"
            )

    def identity(self) -> dict[str, Any]:
        """Parameters and the library's version."""
        return {"miner": "bm25", "bm25s": version("bm25s"), **asdict(self)}

    def mine(self, queries: list[str], corpus: Texts, k: int) -> Hits:
        """Return the `k` best documents of each query; documents that share no word with it (score 0) are left out."""
        index = bm25s.BM25(k1=self.k1, b=self.b)
        # Token ids rather than words: half the memory, and queries meet unknown words without an error.
        tokenizer = bm25s.tokenization.Tokenizer(stemmer=self._stemmer(), stopwords=self.stopwords or [])
        index.index(tokenizer.tokenize(corpus.texts.to_pylist(), show_progress=False), show_progress=False)
        asked = tokenizer.tokenize(queries, update_vocab=False, show_progress=False)
        width = min(k, len(corpus))
        ids = np.full((len(queries), k), -1, np.int32)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        some = [row for row, words in enumerate(asked) if len(words)]  # bm25s cannot score an empty query
        if some:
            bar = sys.stderr.isatty()
            found = index.retrieve([asked[row] for row in some], k=width, show_progress=bar, leave_progress=False)
            ids[some, :width], scores[some, :width] = found.documents, found.scores
        nothing = ~(scores > 0)
        ids[nothing], scores[nothing] = -1, -np.inf
        return Hits(ids, scores)

    def _stemmer(self) -> Any:
        return None if self.language is None else Stemmer.Stemmer(self.language)
