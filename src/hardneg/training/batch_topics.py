"""Which training queries come together in a batch: any, those of one data set, or of one topic."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from hardneg.config import classes, run_identity
from hardneg.data.same_set_batches import Order
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.mining.topics import Topics
from hardneg.system import agreement, distributed
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.memory_map import write_array
from hardneg.training.begin import own_device

log = logging.getLogger(__name__)

TOPICS = "topics.npy"  # of the training queries, in a run's folder
HALF = 0.5  # of the batches, below which topics do next to nothing
BATCHES_A_TOPIC = 4  # how many batches a topic of average size should fill


def batch_order(cfg: DictConfig, training: TrainingSet, folder: Path) -> Order:
    """Say which rows come together in batches: any, those of one data set, or of one topic, which are found first.

    Topics lie in the run's folder too: a run that goes on there keeps them, also without the cache. Raises `DataError`
    if these are of other training queries.
    """
    if not cfg.get("batches"):
        return training.order
    kept = folder / TOPICS
    if run_identity.goes_on(cfg.ckpt_path, folder) and all(agreement.everyone(kept.is_file())):
        topics = np.load(kept)
        if len(topics) != len(training.queries):
            raise DataError(
                f"{kept} is of {counted(len(topics), *QUERIES)}, and there are {len(training.queries):,}: the data have"
                " changed since the run began; begin a new run in a folder of its own"
            )
    else:
        clustering: Topics = classes.build(cfg.batches)
        topics = clustering.of(training, Path(cfg.cache), own_device(cfg))
    if topics is not None and distributed.rank() == 0:
        write_array(kept, topics)
    return replace(training.order, topics=topics)


def tell_topics(order: Order, seed: int, width: int) -> None:
    """Log what share of the batches, of `width` queries over all ranks, are of one topic; warn where few are."""
    if order.topics is None or distributed.rank():
        return
    share, clusters = order.share_of_one_topic(seed, width), int(order.topics.max()) + 1
    log.info("batches=topics: %.0f%% of the batches are of one topic", 100 * share)
    if share < HALF:
        fewer = max(len(order.topics) // (BATCHES_A_TOPIC * width), 2)
        mend = (
            f"take fewer, larger ones, such as batches.clusters={fewer}" if fewer < clusters else "take smaller batches"
        )
        log.warning(
            "batches=topics: the other batches mix what is left of %s, too small for %s a step; %s",
            *(counted(clusters, "topic"), counted(width, *QUERIES), mend),
        )
