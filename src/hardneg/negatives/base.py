"""The two kinds of negative source: offline ones name document ids, online ones offer embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32
from torch import Tensor, nn

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Columns
from hardneg.retrieval.model import Model


@dataclass(frozen=True)
class Draw:
    """The documents drawn for one query: always `k`, padded with -1; teacher scores where there are any."""

    ids: Int32[np.ndarray, " k"]
    teacher: Float32[np.ndarray, " k"] | None = None


@dataclass(frozen=True)
class Setting:
    """What an offline source may use to get ready: the training set, the run's filters and the shared cache.

    `model` is the one in training, once there is one. `owner` is the run's name in the cache, where it may come back
    for its stores. `device` is where miners and teachers with weights of their own compute. `positives` is how many a
    row shows.
    """

    training: TrainingSet
    filters: dict[str, CandidateFilter]
    cache: Path
    model: Model | None = None
    owner: str | None = None
    device: str = "auto"
    positives: int = 1


class OfflineSource(ABC):
    """Names negatives before the batch exists; they are tokenised and encoded with gradient.

    Lives in the dataset: numpy only, and picklable, because data-loading workers copy it. The constructor is cheap and
    checks its arguments; `prepare` does the work. `relabels`: may find positives beyond the labels. `version` changes
    when the source would draw otherwise than before: what workers have fetched ahead is then void.
    """

    has_teacher: bool = False
    relabels: bool = False
    version: int = 0

    def __init__(self, k: int) -> None:
        self.resize(k)

    @property
    def may_have_teacher(self) -> bool:
        """Whether there are teacher scores, or may be once the data are read."""
        return self.has_teacher

    def resize(self, k: int) -> None:
        """Draw `k` a query from now on; raises `ConfigError` where it cannot."""
        if k < 1:
            raise ConfigError(f"a source needs k >= 1 negatives a query, got k={k}; to do without it leave it out")
        self.k = k

    def prepare(self, setting: Setting) -> None:  # noqa: B027  (most simple sources have nothing to prepare)
        """Build or open whatever `draw` reads; called once, before the first draw."""

    @abstractmethod
    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` documents for a query; the same (query, rng state) gives the same draw."""

    def positive_teacher(self, query: int, which: int) -> float:
        """The teacher's score of the query's `which`-th labelled positive; NaN where there is none."""
        return np.nan

    def relabelled(self, query: int) -> Draw:
        """Name the documents that are positives of the query by a teacher's word: no negatives for any source."""
        return Draw(np.empty(0, np.int32), np.empty(0, np.float32))

    def report(self) -> dict[str, float]:
        """Say how the source came out, as numbers to log once (hit rate, queries left short, ...)."""
        return {}


class OnlineSource(nn.Module, ABC):
    """Offers documents that are already embedded; a module, so that its buffers follow device and checkpoint.

    What it offers are other rows' positives, so a popular document comes often. With `logq` its columns say how often,
    and a softmax is corrected for it (see `Candidates.logits`).
    """

    has_teacher: bool = False
    popularity: Float[Tensor, " C"] | None

    def __init__(self, logq: bool = False) -> None:
        super().__init__()
        self.logq = logq
        self.register_buffer("popularity", None, persistent=False)  # of the labels, not of the run

    def prepare(self, setting: Setting) -> None:
        """Count, where it is asked for, what share of the training rows has each document as its positive."""
        if self.logq:
            self.popularity = torch.from_numpy(setting.training.popularity(setting.positives))

    def share(self, ids: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """What share of the training rows has each of these documents as its positive; NaN for none."""
        assert self.popularity is not None, "prepare() comes first"
        share = self.popularity[ids.clamp(min=0)]
        return share.masked_fill((ids < 0) | (share == 0), torch.nan)

    @abstractmethod
    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer columns to every row of this rank."""

    def update(self, d: Float[Tensor, "B G D"], batch: Batch) -> None:
        """Take in this step's documents, after the loss."""


def pad(ids: Sequence[int] | np.ndarray, k: int) -> Int32[np.ndarray, " k"]:
    """Fill up with -1 to `k` ids: a short list stays short, it is never topped up silently."""
    full = np.full(k, -1, np.int32)
    full[: len(ids)] = ids
    return full
