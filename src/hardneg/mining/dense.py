"""Model-mined negatives: ranked by a dual encoder, the one in training or another."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hardneg.data.tables import RetrievalData
from hardneg.encoders import checkpoint
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.towers import QUERY
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Ranker, Task
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.retrieval.embedding_blocks import Blocks, document_blocks, embed_blocks
from hardneg.retrieval.model import Model
from hardneg.retrieval.rank_shares import Nearest, nearest_in_shares
from hardneg.retrieval.search import Exact, Search
from hardneg.system import agreement, distributed
from hardneg.system.progress import silent


def check_at_most_one(ckpt_path: object, encoder: object, who: str) -> None:
    """Raise `ConfigError` where `who` embeds is given twice."""
    if ckpt_path is not None and encoder is not None:
        raise ConfigError(f"{who} takes either ckpt_path or encoder, not both")


@dataclass(frozen=True)
class Dense(Miner):
    """Mines with the model in training (ANCE, arXiv:2007.00808), with a checkpoint of ours, or with another encoder.

    `ckpt_path` and `encoder` null: the model as it is when a round begins. `encoder` is a recipe, as a group option
    describes one. Prompts that come with the data replace those of a checkpoint, as where it is trained or evaluated on
    them (the checkpoint of such a run does not hold them), and not those of an `encoder`. `precision` is what a miner
    of its own computes in. `weights` may be `average`: those of the model's moving average, which `callbacks=ema`
    keeps, for lists that change less from round to round.

    Raises `ConfigError` for `ckpt_path` and `encoder` at once, another `weights`, and a checkpoint that is not there.
    """

    ckpt_path: str | None = None
    encoder: EncoderRecipe | None = None
    precision: str = "auto"
    weights: str = "current"
    search: Search = Exact()
    model: Model | None = field(default=None, init=False)  # set by `ready`
    own: Model | None = field(default=None, init=False)  # weights that are not those in training, loaded once
    own_data: RetrievalData | None = field(default=None, init=False, compare=False, repr=False)  # that `own` reads

    collective: ClassVar[bool] = True  # type: ignore[misc]

    def __post_init__(self) -> None:
        if isinstance(self.encoder, str):
            name = self.encoder
            raise ConfigError(
                f"encoder={name}: an encoder is chosen as a group here, with + and where it goes, as in"
                f" +encoder@negatives.mined.miner.encoder={name} or +encoder@filter.guide.encoder={name}"
            )
        check_at_most_one(self.ckpt_path, self.encoder, "a dense miner")
        if self.weights not in ("current", "average"):
            raise ConfigError(f"weights must be current or average, got {self.weights!r}")
        if self.weights == "average" and not self.follows_model:
            raise ConfigError("weights=average is of the model in training; leave ckpt_path and encoder null")
        if self.ckpt_path is not None and not Path(self.ckpt_path).is_file():
            inside = Path(self.ckpt_path) / "checkpoints" / "best.ckpt"
            said = f"that is a run's folder; take {inside}" if inside.is_file() else "there is no such file"
            raise ConfigError(f"ckpt_path={self.ckpt_path}: {said}")

    @property
    def follows_model(self) -> bool:  # type: ignore[override]
        """Whether it ranks with the model in training."""
        return self.ckpt_path is None and self.encoder is None

    @property
    def needs_average(self) -> bool:  # type: ignore[override]
        """Whether it ranks with a moving average of the model."""
        return self.weights == "average"

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> Dense:
        """Load the miner's own weights, or take the model's as they are now.

        Raises `ConfigError` where there is no model yet, or no average of it.
        """
        if self.follows_model:
            if model is None:
                raise ConfigError("there is no model to mine with yet; give the miner a ckpt_path or an encoder")
            if self.weights == "average" and model.average is None:
                raise ConfigError("weights=average needs a moving average of the model: add callbacks=[ema]")
            return self._with(model if self.weights == "current" else model.with_towers(model.average))
        where = model.device if model is not None else distributed.device(device)
        if self.own is not None and self.own_data is data:
            self.own.towers.to(where)
        else:
            # What is drawn for its own weights must not change those that the model in training starts from.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                object.__setattr__(self, "own", self._load(data, cache, where))
            object.__setattr__(self, "own_data", data)
        assert self.own is not None
        return self._with(self.own if model is None else replace(self.own, embedded=model.embedded))

    def check(self, documents: int, model: Model | None) -> None:
        """Raise `ConfigError` for a search that cannot index this many of the model's vectors."""
        if self.follows_model and model is not None:
            self.search.check(documents, model.towers.dim, model.device)

    def put_away(self) -> None:
        """Keep weights of its own in main memory."""
        if self.own is not None:
            self.own.towers.cpu()

    def _load(self, data: RetrievalData, cache: Path, device: torch.device) -> Model:
        if self.ckpt_path is not None:
            trained = checkpoint.load(self.ckpt_path)
        else:
            assert self.encoder is not None
            trained = checkpoint.Trained.as_it_comes(self.encoder, data.corpus, data.queries)
            data = data.without_prompts()  # they are for a model trained by us; this recipe has its own
        precision = resolve_precision(self.precision, trained.recipe, str(device))
        towers = trained.towers.to(device)
        return Model.over(data, towers, trained.recipe, trained.tokenizer, precision, cache).kept_in(cache)

    def _with(self, model: Model | None) -> Dense:
        ready = copy.copy(self)
        object.__setattr__(ready, "model", model)
        return ready

    def identity(self) -> dict[str, Any]:
        """The model's identity, weights included, and the search's."""
        assert self.model is not None, "ready() comes first"
        return {"miner": "dense", "model": self.model.identity(), **self.search.identity()}

    def open(self, task: Task) -> Ranker:
        """Embed the pool, continuing an earlier attempt, and index it."""
        model = self.model
        assert model is not None, "ready() comes first"
        self.search.check(len(task.pool), model.towers.dim, model.device)
        if model.shared is not None and len(task.pool) == len(model.docs):
            pool = model.shared.of(model)
        else:
            pool = document_blocks(model, task.pool, task.work)
        # Positives outside the pool are no candidates, but what is too close to them is judged all the same.
        rest = document_blocks(model, np.setdiff1d(task.positives, task.pool), task.work, "positives")
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

    def _nearest(self, model: Model, pool: Blocks, task: Task) -> Nearest:
        """Index the pool, or a share of it on each rank, and return what finds the nearest documents."""
        in_shares = task.queries is not None and self.search.in_shares(model.device)
        agreement.agree("whether faiss searches on their GPUs", in_shares)
        if task.queries is not None and in_shares:
            q = embed_blocks(model, task.queries, task.work, "queries", QUERY)
            return nearest_in_shares(self.search, pool, q, task.depth, model.device, task.work)
        search = self.search.over(pool, model.device)

        def nearest(queries: np.ndarray, k: int) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
            q = embed_rows(model.towers, model.queries, QUERY, model.precision, queries, silent())
            scores, places = (part.cpu().numpy() for part in search(q, k))
            return q.cpu(), scores, places

        return nearest
