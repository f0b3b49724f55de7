"""A dual encoder with its token tables: everything that is needed to embed a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable, token_tables
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.towers import DOCUMENT, Towers
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.system.cache import fingerprint
from hardneg.system.own_code import with_code_of
from hardneg.system.progress import Progress, silent

if TYPE_CHECKING:
    from hardneg.retrieval.corpus_vectors import CorpusVectors

# Reads vectors of a data set's documents: rows -> which of them exist (N,), and the vectors of those, in order.
Reader = Callable[[np.ndarray], tuple[Bool[np.ndarray, " N"], Float32[np.ndarray, "n D"]]]


class VectorSource(ABC):
    """Existing vectors of a data set's documents, such as those of an index."""

    @abstractmethod
    def reader(self, model: Model) -> Reader | None:
        """Return a reader of the vectors that this model would make now; None where there are none."""


@dataclass(frozen=True)
class Model:
    """Towers, and the tokens of the data set's queries and documents as the towers' recipe makes them.

    `average` is a moving average of the towers, where training keeps one. `embedded` are vectors that mining need not
    compute. `vectors` is where those of documents stay for other uses of the same weights; null for a model in
    training, whose weights change: `shared` holds those of its current weights.
    """

    towers: Towers
    recipe: EncoderRecipe
    queries: TokenTable
    docs: TokenTable
    precision: str
    tokenizer: Any
    average: Towers | None = None
    embedded: VectorSource | None = None
    vectors: Path | None = None
    shared: CorpusVectors | None = None

    @classmethod
    def over(
        cls, data: RetrievalData, towers: Towers, recipe: EncoderRecipe, tokenizer: Any, precision: str, cache: Path
    ) -> Model:
        """Tokenise the data set for these towers, or open the tables."""
        queries, docs = token_tables(data, tokenizer, recipe.query, recipe.document, cache)
        return cls(towers, recipe, queries, docs, precision, tokenizer)

    @classmethod
    def of(cls, trained: Trained, data: RetrievalData, precision: str, cache: Path, device: torch.device) -> Model:
        """Bring an encoder that is not in training to a device, and tokenise the data set for it.

        Its document vectors stay in the cache. `precision` may be `auto`.
        """
        resolved = resolve_precision(precision, trained.recipe, str(device))
        model = cls.over(data, trained.towers.to(device), trained.recipe, trained.tokenizer, resolved, cache)
        return replace(model, vectors=cache / "vectors")

    def with_towers(self, towers: Towers | None) -> Model:
        """Return the same with other weights."""
        assert towers is not None
        return replace(self, towers=towers)

    def table(self, side: str) -> TokenTable:
        """The tokens of the queries or of the documents."""
        return self.docs if side == DOCUMENT else self.queries

    def embed(self, side: str, rows: Int[np.ndarray, " N"], bar: Progress | None = None) -> Float[Tensor, "N D"]:
        """Embed these rows of a side's table, on the towers' device, in float32 (see `embed_rows`)."""
        return embed_rows(self.towers, self.table(side), side, self.precision, rows, silent() if bar is None else bar)

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        return next(self.towers.parameters()).device

    def identity(self) -> dict[str, Any]:
        """Everything that determines an embedding: weights, tokens (tokenizer, prompts, lengths, texts), precision."""
        of_documents = self.document_identity()
        weights = weights_hash(self.towers) if self.recipe.freeze else of_documents["weights"]  # hashed by then
        return {**of_documents, "weights": weights, "tokens": [self.queries.key, self.docs.key]}

    def vectors_name(self, rows: np.ndarray) -> str:
        """The name of a folder with the vectors of these documents, made of everything that determines them."""
        return fingerprint([self.document_identity(), "all" if len(rows) == len(self.docs) else rows.tolist()])

    def document_identity(self) -> dict[str, Any]:
        """Everything that determines the embedding of a document; training queries alone does not change it."""
        recipe, tower = self.recipe.embedding_settings(), self.towers.tower(DOCUMENT)
        beside = {"tower": tower.beside_weights} if tower.beside_weights else {}
        identity = {
            "weights": weights_hash(tower if self.recipe.freeze else self.towers),
            "recipe": {"type": type(self.recipe).__qualname__, **recipe},
            "tokens": self.docs.key,
            "precision": self.precision,
            **beside,
        }
        return with_code_of(self.recipe, identity)
