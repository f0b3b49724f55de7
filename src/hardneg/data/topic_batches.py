"""Rows in batches that are each of one topic, as far as topics fill batches."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def by_topic(
    rows: Int[np.ndarray, " n"], topics: Int[np.ndarray, " n"], width: int, rng: np.random.Generator
) -> Int[np.ndarray, " m"]:
    """Return the rows, which come in random order, in whole batches of `width`, in random order too.

    Each topic fills as many batches as it can, so that topics come in proportion to their size and no row comes twice.
    What is left of the topics fills batches together, neighbours by number first; the end that fills none is left out.
    """
    count = int(topics.max(initial=0)) + 1
    place = (topics - rng.integers(count)) % count  # whose rest is left out changes from epoch to epoch
    order = np.argsort(place, kind="stable")
    rows, place = rows[order], place[order]
    within = np.arange(len(rows)) - np.searchsorted(place, place)
    size = np.bincount(place, minlength=count)[place]
    whole = within < size // width * width
    rows = np.concatenate([rows[whole], rows[~whole]])
    return rng.permutation(rows[: len(rows) // width * width].reshape(-1, width)).ravel()
