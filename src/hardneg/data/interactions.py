"""A generated world of users and items in which taste is known, and what users take depends on popularity too.

Taste. Genres are directions in a space of `tastes` dimensions. An item has one or two genres and a deviation of its
own, a user two favourites and a deviation; each user likes the `liked` items that lie best in the user's direction, and
nothing else. Popularity. Items have a Zipf weight, `rank ** -popularity`, that has nothing to do with taste. Each user
takes `taken` of the liked items, drawn without replacement by weight: what is seen is taste times popularity, as in a
log.

Texts are features, for `encoder=features`: `user=17 country=de fan=g3` and `item=5 genre=g3 genre=g8`. Country says
nothing about taste; `fan` names one of the user's favourites.

Splits. A user's taken items are train, dev and test; the share `cold` of the users is in none of them and has its items
in `cold`. `liked` holds what users like and did not take for training, popular or not: taste without popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import ConfigError

_COUNTRIES = ("de", "fr", "in", "jp", "mx", "us")
_FAVOURITES = 2
_LEAST = {"users": 2, "items": 2, "seed": 0, "liked": 1, "taken": 3, "dev": 1, "test": 1, "tastes": 1, "genres": 2}


@dataclass(frozen=True)
class Interactions:
    """Recommend items to users: a query is a user, the documents are items, positives are what the user took.

    `RetrievalData.truth` holds all that each user likes, taken or not. Raises `ConfigError` on numbers that do not fit
    together.
    """

    users: int = 2000
    items: int = 1000
    seed: int = 0
    liked: int = 60
    taken: int = 16
    dev: int = 2
    test: int = 4
    popularity: float = 1.0
    cold: float = 0.1
    tastes: int = 8
    genres: int = 12
    own: float = 0.5

    def __post_init__(self) -> None:
        for key, least in _LEAST.items():
            if getattr(self, key) < least:
                raise ConfigError(f"data.{key}: must be at least {least}, not {getattr(self, key)}")
        if not self.dev + self.test < self.taken <= self.liked <= self.items:
            raise ConfigError(
                f"data.taken: needs dev + test < taken <= liked <= items, got {self.dev} + {self.test}, {self.taken},"
                f" {self.liked} and {self.items}"
            )
        if self.popularity < 0 or self.own < 0:
            raise ConfigError(f"data.popularity and data.own: must not be negative, not {self.popularity}, {self.own}")
        if not 0 <= self.cold < 1 or round(self.cold * self.users) == self.users:
            raise ConfigError(f"data.cold: must be a share that leaves some users to train on, not {self.cold}")

    def load(self) -> RetrievalData:
        """Generate the set; equal arguments give equal bytes."""
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(self.seed).spawn(4)]
        of_items, of_users = (self._genres(n, streams[0]) for n in (self.items, self.users))
        likes = self._likes(of_items, of_users, streams[1])
        taken = self._taken(likes, streams[2])
        cold = np.zeros(self.users, bool)
        cold[streams[3].permutation(self.users)[: round(self.cold * self.users)]] = True
        country = streams[3].integers(0, len(_COUNTRIES), self.users)

        held = self.dev + self.test
        parts = {"train": taken[:, held:], "dev": taken[:, : self.dev], "test": taken[:, self.dev : held]}
        qrels = {name: _qrels(part, ~cold) for name, part in parts.items()}
        qrels["cold"] = _qrels(taken, cold)
        qrels["liked"] = _qrels(
            np.stack([np.setdiff1d(*pair) for pair in zip(likes, parts["train"], strict=True)]), ~cold
        )
        return RetrievalData(
            "interactions",
            Texts.of(
                [f"i{row}" for row in range(self.items)],
                [
                    " ".join([f"item={row}", *(f"genre=g{g}" for g in np.unique(of_items[row]))])
                    for row in range(self.items)
                ],
            ),
            Texts.of(
                [f"u{row}" for row in range(self.users)],
                [f"user={row} country={_COUNTRIES[country[row]]} fan=g{of_users[row, 0]}" for row in range(self.users)],
            ),
            qrels,
            truth=_qrels(likes, np.ones(self.users, bool)),
        )

    def _genres(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Choose two genres each (count, 2), the same one twice for some."""
        return rng.integers(0, self.genres, (count, _FAVOURITES))

    def _likes(self, of_items: np.ndarray, of_users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rank the items by taste (users, liked)."""
        genres = rng.standard_normal((self.genres, self.tastes))
        items, users = (
            genres[which].mean(axis=1) + self.own * rng.standard_normal((len(which), self.tastes))
            for which in (of_items, of_users)
        )
        items /= np.linalg.norm(items, axis=1, keepdims=True)
        return np.argsort(-(users @ items.T), axis=1, kind="stable")[:, : self.liked]

    def _taken(self, likes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw from what each user likes by popularity, in random order (users, taken): the Gumbel-top-k trick."""
        log_weight = -self.popularity * np.log(1 + rng.permutation(self.items))
        keys = log_weight[likes] + rng.gumbel(size=likes.shape)
        chosen = np.argsort(-keys, axis=1, kind="stable")[:, : self.taken]
        return rng.permuted(np.take_along_axis(likes, chosen, axis=1), axis=1)


def _qrels(items: np.ndarray, users: np.ndarray) -> Qrels:
    """Judge row i's items relevant to user i, for these users only."""
    rows = np.flatnonzero(users)
    return Qrels.of_relevant(np.repeat(rows, items.shape[1]), items[rows].ravel())
