"""Model-mined negatives: ranked by a dual encoder, the one in training or another."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hardneg.data.tables import RetrievalData
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import QUERY
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Ranker, Task
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, document_blocks, embed_blocks
from hardneg.retrieval.model import Model
from hardneg.retrieval.rank_shares import Nearest, nearest_in_shares
from hardneg.retrieval.search import Exact, Search
from hardneg.system import agreement
from hardneg.system.own_code import identity_of
from hardneg.teachers.encoder_choice import EncoderChoice


@dataclass(frozen=True)
class Dense(Miner):
    """Mines with the model in training (ANCE, arXiv:2007.00808), with a checkpoint of ours, or with another encoder.

    `ckpt_path` and `encoder` null: the model as it is when a round begins. Otherwise they and `precision` are those of
    an `EncoderChoice`. `weights` may be `average`: those of the model's moving average, which `callbacks=ema` keeps,
    for lists that change less from round to round.

    Raises `ConfigError` for another `weights`, and what `EncoderChoice` does.
    """

    ckpt_path: str | None = None
    encoder: EncoderRecipe | None = None
    precision: str = "auto"
    weights: str = "current"
    search: Search = Exact()
    model: Model | None = field(default=None, init=False)  # set by `ready`
    other: EncoderChoice = field(init=False, compare=False, repr=False)

    collective: ClassVar[bool] = True  # type: ignore[misc]

    def __post_init__(self) -> None:
        other = EncoderChoice(self.ckpt_path, self.encoder, self.precision, who="a dense miner")
        object.__setattr__(self, "other", other)
        if self.weights not in ("current", "average"):
            raise ConfigError(f"weights must be current or average, got {self.weights!r}")
        if self.weights == "average" and not self.follows_model:
            raise ConfigError("weights=average is of the model in training; leave ckpt_path and encoder null")

    @property
    def follows_model(self) -> bool:  # type: ignore[override]
        """Whether it ranks with the model in training."""
        return not self.other.chosen

    @property
    def encoders(self) -> Sequence[EncoderChoice]:
        """The checkpoint or encoder that it was given, if any."""
        return [self.other] if self.other.chosen else []

    @property
    def needs_average(self) -> bool:  # type: ignore[override]
        """Whether it ranks with a moving average of the model."""
        return self.weights == "average"

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> Dense:
        """Load weights of its own, or take the model's as they are now.

        Raises `ConfigError` where there is no model yet, or no average of it.
        """
        if self.follows_model:
            if model is None:
                raise ConfigError("there is no model to mine with yet; give the miner a ckpt_path or an encoder")
            if self.weights == "average" and model.average is None:
                raise ConfigError("weights=average needs a moving average of the model: add callbacks=[ema]")
            return self._with(model if self.weights == "current" else model.with_towers(model.average))
        own = self.other.model(data, cache, device if model is None else model.device)
        return self._with(own if model is None else replace(own, embedded=model.embedded))

    def check(self, documents: int, model: Model | None) -> None:
        """Raise `ConfigError` for a search that cannot index this many of the model's vectors."""
        if self.follows_model and model is not None:
            self.search.check(documents, model.towers.dim, model.device)

    def put_away(self) -> None:
        """Keep weights of its own in main memory."""
        self.other.put_away()

    def _with(self, model: Model | None) -> Dense:
        ready = copy.copy(self)
        object.__setattr__(ready, "model", model)
        return ready

    def identity(self) -> dict[str, Any]:
        """The model's identity, weights included, and the search's."""
        assert self.model is not None, "ready() comes first"
        return {"miner": "dense", "model": self.model.identity(), **identity_of(self.search)}

    def open(self, task: Task) -> Ranker:
        """Embed the pool, continuing an earlier attempt, and index it."""
        model = self.model
        assert model is not None, "ready() comes first"
        self.search.check(len(task.pool), model.towers.dim, model.device)
        if model.shared is not None and len(task.pool) == len(model.docs):
            pool = model.shared.of(model)
        else:
            pool = document_blocks(model, task.pool, task.work)
        rest = document_blocks(model, task.outside, task.work, "positives")
        nearest = self._nearest(model, pool, task)

        def rank(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
            q, scores, places = nearest(queries, k)
            ids = np.where(places >= 0, pool.rows[places], -1).astype(np.int32)
            # Ties are in the order of the corpus, whatever blocks, ranks or search made of them.
            order = np.lexsort((ids, -scores), axis=1)[:, :k]
            ids, scores = (np.take_along_axis(part, order, axis=1) for part in (ids, scores))
            scores = np.where(ids >= 0, scores, -np.inf).astype(np.float32)
            wide = k - ids.shape[1]
            ids = np.pad(ids, ((0, 0), (0, wide)), constant_values=-1)
            scores = np.pad(scores, ((0, 0), (0, wide)), constant_values=-np.inf)
            of_positives = np.full(positives.shape, np.nan, np.float32)
            rows, columns = np.nonzero(positives >= 0)
            asked = positives[rows, columns]
            for blocks in (pool, rest):
                here = blocks.has(asked)
                d = blocks.take(asked[here])
                dots = (q[torch.from_numpy(rows[here])] * d).sum(dim=1)
                of_positives[rows[here], columns[here]] = dots.numpy()
            return Hits(ids, scores, of_positives)

        return rank

    def _nearest(self, model: Model, pool: EmbeddingBlocks, task: Task) -> Nearest:
        """Index the pool, or a share of it on each rank, and return what finds the nearest documents."""
        in_shares = task.queries is not None and self.search.in_shares(model.device)
        agreement.agree("whether faiss searches on their GPUs", in_shares)
        if task.queries is not None and in_shares:
            q = embed_blocks(model, task.queries, task.work, "queries", QUERY)
            return nearest_in_shares(self.search, pool, q, task.depth, model.device, task.work)
        search = self.search.over(pool, model.device)

        def nearest(queries: np.ndarray, k: int) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
            q = model.embed(QUERY, queries)
            scores, places = (part.cpu().numpy() for part in search(q, k))
            return q.cpu(), scores, places

        return nearest
