"""Training queries in topics: k-means over another encoder's vectors of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.retrieval.search import load_faiss
from hardneg.system import distributed
from hardneg.system.cache import built_once, fingerprint
from hardneg.system.counts_in_words import TRAINING_QUERIES, counted
from hardneg.teachers.encoder_choice import EncoderChoice
from hardneg.teachers.stored_vectors import query_blocks

log = logging.getLogger(__name__)

ITERATIONS = 25


@dataclass(frozen=True)
class Topics:
    """`clusters` of training queries, from which batches are drawn (TAS-B, Hofstätter et al. 2021, arXiv:2104.06967).

    The queries are embedded once by a checkpoint of ours (`ckpt_path`) or an `encoder` as it comes, which computes in
    `precision`, and clustered by faiss with this `seed`. The result lies in the cache.

    With `clusters` null batches are of any topic.

    Raises `ConfigError` where neither is given or both are, and for fewer than two clusters.
    """

    clusters: int | None = 2000
    ckpt_path: str | None = None
    encoder: EncoderRecipe | None = None
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clusters is None:
            return
        if self.ckpt_path is None and self.encoder is None:
            raise ConfigError(
                "batches=topics clusters the training queries by somebody's vectors: give a checkpoint, as"
                " batches.ckpt_path=RUN/checkpoints/best.ckpt, or an encoder, as +encoder@batches.encoder=minilm"
            )
        if self.clusters < 2:
            raise ConfigError(f"batches.clusters={self.clusters} must be 2 or more; null for batches of any topic")
        self._choice()  # which refuses both at once, and a missing file

    def of(self, training: TrainingSet, cache: Path, device: str) -> Int32[np.ndarray, " n"] | None:
        """Return the topic of each training query, in their order, if any; topics with near numbers are alike.

        Raises `ConfigError` for more clusters than queries, and `UserError` where faiss is not installed.
        """
        rows, clusters = training.queries, self.clusters
        if clusters is None:
            return None
        if clusters > len(rows):
            asked = counted(len(rows), *TRAINING_QUERIES)
            raise ConfigError(f"batches.clusters={clusters} is more than the {asked}")
        load_faiss("batches=topics", "batches.clusters=null needs none")  # now, not after the queries are embedded
        model = self._choice().model(training.data, cache, device)
        vectors = query_blocks(model, rows, cache)
        name = fingerprint([model.identity(), rows.tolist(), clusters, self.seed, ITERATIONS])

        def build(folder: Path) -> None:
            np.save(folder / "topics.npy", clustered(vectors.take(rows).numpy(), clusters, self.seed))

        found = np.load(built_once(cache / "topics" / name, build) / "topics.npy")
        if distributed.rank() == 0:
            sizes = np.bincount(found, minlength=clusters)
            told = f"{sizes.min()} to {sizes.max()} each, half of them {int(np.median(sizes))} or more"
            log.info("batches=topics: %s in %d clusters, %s", counted(len(rows), *TRAINING_QUERIES), clusters, told)
        return found

    def _choice(self) -> EncoderChoice:
        return EncoderChoice(self.ckpt_path, self.encoder, self.precision, who="batches=topics")


def clustered(vectors: Float32[np.ndarray, "n D"], clusters: int, seed: int) -> Int32[np.ndarray, " n"]:
    """Return the cluster of each vector by k-means, numbered along a path from centre to nearest centre."""
    faiss = load_faiss("batches=topics", "batches.clusters=null needs none")
    vectors = np.ascontiguousarray(vectors, np.float32)
    kmeans = faiss.Kmeans(vectors.shape[1], clusters, niter=ITERATIONS, seed=seed, min_points_per_centroid=1)
    kmeans.train(vectors)
    _, nearest = kmeans.index.search(vectors, 1)
    return along(kmeans.centroids)[nearest[:, 0]]


def along(centres: Float32[np.ndarray, "k D"]) -> Int32[np.ndarray, " k"]:
    """Return each centre's place on a path from the first one, always to the nearest that is left."""
    place = np.full(len(centres), -1, np.int32)
    here = 0
    for step in range(len(centres)):
        place[here] = step
        away = np.square(centres - centres[here]).sum(axis=1)
        here = int(np.where(place < 0, away, np.inf).argmin())
    return place
