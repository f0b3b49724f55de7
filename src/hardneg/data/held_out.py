"""Dev and test splits for data that come without: a share of the training queries, drawn by a hash of their text."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError, DataError
from hardneg.system.counts_in_words import TRAINING_QUERIES, counted
from hardneg.system.screen import in_short

log = logging.getLogger(__name__)

TRAIN = "train"  # the split that queries are held out of


@dataclass(frozen=True)
class Shares:
    """Which share of the training queries becomes dev and which test, where the data have no such split.

    Another `seed` holds out other queries. Raises `ConfigError` for what leaves nothing for training.
    """

    dev: int | float = 0.0
    test: int | float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for key, share in (("data.dev_share", self.dev), ("data.test_share", self.test)):
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
                raise ConfigError(f"{key} is {share!r}; write a number from 0 to below 1")
        if self.dev + self.test >= 1:
            total = self.dev + self.test
            raise ConfigError(f"data.dev_share + data.test_share is {total:g}; together they must be below 1")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ConfigError(f"data.split_seed is {self.seed!r}; write a whole number, 0 or more")


class HoldsOut:
    """A reader that holds queries out where its data have no dev or no test, by settings of these names."""

    dev_share: int | float
    test_share: int | float
    split_seed: int

    def _shares(self) -> Shares:
        """Raise `ConfigError` for what leaves nothing for training."""
        return Shares(self.dev_share, self.test_share, self.split_seed)


def split_of(query: str, shares: Shares) -> str:
    """Draw a query's split from its text and the seed alone: neither the order nor other rows change it."""
    salt = shares.seed.to_bytes(8, "big")
    digest = blake2b(query.strip().encode(), digest_size=8, salt=salt).digest()  # stripped: blanks make no other query
    draw = int.from_bytes(digest, "big") / 2**64
    return "test" if draw < shares.test else "dev" if draw < shares.test + shares.dev else TRAIN


def hold_out(data: RetrievalData, shares: Shares) -> RetrievalData:
    """Move a share of the training queries to dev and to test, each only where that split does not exist yet.

    Nothing else changes: the documents of held-out queries stay in the corpus, and equal queries go together. Raises
    `DataError` where there is no split `train`.
    """
    wanted = Shares(0 if "dev" in data.qrels else shares.dev, 0 if "test" in data.qrels else shares.test, shares.seed)
    if not wanted.dev and not wanted.test:
        return data
    if TRAIN not in data.qrels:
        raise DataError(
            f"data set {data.name!r}: data.dev_share and data.test_share hold queries out of the split 'train', and "
            f"there is none; there are: {', '.join(sorted(data.qrels))}"
        )
    train = data.qrels[TRAIN]
    rows, place = np.unique(train.queries, return_inverse=True)
    drawn = np.array([split_of(text, wanted) for text in data.queries.take(rows)], object)
    names = [TRAIN, *(name for name in ("dev", "test") if getattr(wanted, name))]
    divided = {name: train.take((drawn == name)[place]) for name in names}
    counts = {name: len(judged.query_rows) for name, judged in divided.items()}
    for name in names[1:]:
        if not counts[name]:
            log.warning(
                "%s: data.%s_share=%g holds out none of the %s; give a larger share",
                *(data.name, name, getattr(wanted, name), counted(len(rows), *TRAINING_QUERIES)),
            )
    if held := [f"{name} {counts[name]:,}" for name in names[1:] if counts[name]]:
        log.info(
            "%s: queries held out of train: %s; train keeps %s",
            *(data.name, ", ".join(held), f"{counts[TRAIN]:,}"),
            extra=in_short(f"{data.name}: {' and '.join(held)} queries are held out of train"),
        )
    divided = {name: judged for name, judged in divided.items() if len(judged)}
    return replace(data, qrels={**divided, **{name: qrels for name, qrels in data.qrels.items() if name != TRAIN}})
