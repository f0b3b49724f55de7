"""Stored negatives: drawn from the lists of a miner: BM25 or a model, with or without a cross-encoder's scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from hardneg.data.ragged import Ragged
from hardneg.errors import ConfigError
from hardneg.mining.base import Miner, mining_pool, tasks
from hardneg.mining.health import health
from hardneg.mining.known_positives_found import findable
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.mining.relabel import with_relabelling
from hardneg.mining.store import KEPT, Store
from hardneg.negatives.base import Draw, Draws, OfflineSource, Setting, pad, shuffled
from hardneg.negatives.stratified import stratified
from hardneg.negatives.swap import EasyCounts, Scored, Swap, Swapped
from hardneg.teachers.base import Teacher

SAMPLING = ("uniform", "top", "stratified")


class Stored(OfflineSource):
    """Draw `k` of the first `pool` kept documents of each query's mined list.

    `depth` is how many documents the miner lists per query. `sampling` is `uniform` over the pool (ANCE draws from the
    top 200, arXiv:2007.00808), `top`, always the hardest, or `stratified` over the range of the teacher's scores.
    `documents` may be mined: `all`, `not_held_out` (without those that are relevant only to queries of other splits) or
    a file of ids. `teacher` scores the pairs, for filters and for distillation. A document that it scores `relabel` or
    more is a positive until the next round: no source draws it, and it is shown in turn with the labelled ones. `swap`
    tells which negatives became easy: they are no longer drawn, and the next in the list move up into the pool or
    window.

    With a miner that follows the model in training there is nothing to draw before the first round: the slots stay
    empty, and `Remine` says when to mine.

    Raises `ConfigError` for another `sampling`, and for what needs a teacher without one.
    """

    def __init__(
        self,
        k: int,
        miner: Miner,
        depth: int = 100,
        pool: int | None = None,
        sampling: str = "uniform",
        documents: str = "all",
        teacher: Teacher | None = None,
        relabel: float | None = None,
        swap: Swap | None = None,
    ) -> None:
        self.depth, self.pool = depth, depth if pool is None else pool
        self.swap = swap if swap is not None and swap.every_n_steps is not None else None
        super().__init__(k)
        if sampling not in SAMPLING:
            raise ConfigError(f"sampling must be one of {', '.join(SAMPLING)}, got {sampling!r}")
        if teacher is None and (sampling == "stratified" or relabel is not None):
            key = "sampling=stratified" if sampling == "stratified" else f"relabel={relabel}"
            raise ConfigError(
                f"{key} reads scores of a teacher; give one, as in teacher=cross_encoder teacher.model=DIR"
            )
        self.miner, self.sampling = miner, sampling
        self.documents, self.teacher, self.relabel = documents, teacher, relabel
        self.has_teacher, self.relabels = teacher is not None, relabel is not None
        self.store: Store | None = None
        self.previous: Store | None = None
        self.swapped: Swapped | None = None  # of the present store, with `swap`
        self.findable: Ragged | None = None  # the known positives that the miner should find

    def resize(self, k: int) -> None:
        """Draw `k` per query; raises `ConfigError` for more than the pool has."""
        super().resize(k)
        if not k <= self.pool <= self.depth:
            numbers = f"k={k}, pool={self.pool}, depth={self.depth}"
            raise ConfigError(f"a mined source needs k <= pool <= depth, got {numbers}")
        if self.swap is not None and k == self.depth:
            raise ConfigError(
                f"swap has no others to put in the place of easy negatives: k={k} is depth={k}; mine more"
            )

    @property
    def follows_model(self) -> bool:  # type: ignore[override]
        """Whether the lists change with the model in training."""
        return self.miner.follows_model

    @property
    def origin(self) -> str:  # type: ignore[override]
        """Lists that follow the model can be mined again, others are what they are."""
        return "following" if self.follows_model else "listed"

    @property
    def draws_nearest(self) -> bool:  # type: ignore[override]
        """Whether it draws the first documents of its lists."""
        return self.sampling == "top"

    def prepare(self, setting: Setting) -> None:
        """Open the store of this miner, data and filters, or mine it first; not where it follows the model.

        Raises what a teacher does that cannot be loaded, also where it is asked epochs later.
        """
        self.findable = findable(setting.training, self.documents)
        if not self.follows_model:
            self.mine(setting)
        elif self.teacher is not None:
            self.teacher.prepare(setting.training.data, setting.cache, setting.device)
            self.teacher.put_away()

    def check(self, setting: Setting) -> None:
        """Raise what would end the first round as soon as it begins, which may be epochs later."""
        training = setting.training
        for _, task in tasks(training, training.queries, mining_pool(training, self.documents), setting.cache):
            self.miner.check(len(task.pool), setting.model)

    def mine(self, setting: Setting) -> Store:
        """Mine with the current weights, unless the store exists; draw from it from now on."""
        if self.findable is None:
            self.findable = findable(setting.training, self.documents)
        if self.teacher is not None:
            self.teacher.prepare(setting.training.data, setting.cache, setting.device)
        miner = self.miner.ready(setting.training.data, setting.model, setting.cache, setting.device)
        filters = {name: rule for name, rule in setting.filters.items() if rule.at != "live"}
        filters = with_relabelling(filters, self.relabel)
        recipe = MiningRecipe(miner, self.depth, self.documents, filters, self.teacher)
        try:
            return self.use(mine_and_store(recipe, setting.training, setting.cache, setting.owner))
        finally:  # training needs the device now
            self.miner.put_away()
            if self.teacher is not None:
                self.teacher.put_away()

    def open(self, folder: Path) -> Store:
        """Draw from an existing store; raises `ConfigError` if it does not exist."""
        if not folder.exists():
            raise ConfigError(
                f"the run drew from the mined list {folder}, which is gone: it cannot be resumed exactly. Restore the"
                " list, or start the run again"
            )
        return self.use(Store(folder))

    def use(self, store: Store) -> Store:
        """Draw from this store."""
        self.previous, self.store = self.store, store
        self.swapped = None if self.swap is None else Swapped(store)
        self.version += 1
        return store

    def judge(self, seen: Scored, skipped: int = 0) -> EasyCounts:
        """Have the negatives that became easy give way to others, by what they scored when they were drawn.

        A list keeps `k` documents behind the first `skipped`, those that no window of a curriculum reaches.
        """
        assert self.swap is not None and self.swapped is not None, "there is a rule, and a store"
        judged = self.swapped.judge(self.swap, skipped + self.k, seen)
        self.version += judged.swapped > 0
        return judged

    def draw(self, query: int, rng: np.random.Generator, window: tuple[int, int] | None = None) -> Draw:
        """Draw from the kept part of the query's list; a list left short by the filters stays short.

        `window` are the [first, end) places to draw from instead of the first `pool`.
        """
        if self.store is None:
            return Draw(pad([], self.k))
        ids, teacher = self.store.kept(query), self.store.teacher(query)
        if self.swapped is not None:
            stays = ~self.swapped.out(np.array([query]))[0][self.store.keeps(query)]
            ids, teacher = ids[stays], None if teacher is None else teacher[stays]
        places = slice(*(window or (0, self.pool)))
        ids, teacher = ids[places], None if teacher is None else teacher[places]
        if self.sampling == "stratified" and teacher is not None:
            order = stratified(teacher, self.k, rng)
        else:
            order = np.arange(len(ids)) if self.sampling == "top" else rng.permutation(len(ids))
        order = order[: self.k]
        if teacher is None:
            return Draw(pad(ids[order], self.k))
        scores = np.full(self.k, np.nan, np.float32)
        scores[: len(order)] = teacher[order]
        return Draw(pad(ids[order], self.k), scores)

    def draw_batch(
        self,
        queries: Int[np.ndarray, " n"],
        rngs: Iterator[np.random.Generator],
        window: tuple[int, int] | None = None,
    ) -> Draws:
        """Draw for each query as `draw` does."""
        if self.store is None or self.sampling == "stratified":
            return super().draw_batch(queries, rngs, window)
        lists = self.store.ids[queries]
        drawable = (lists >= 0) & (self.store.reasons[queries] == KEPT)
        if self.swapped is not None:
            drawable &= ~self.swapped.out(queries)
        rows, columns = np.nonzero(drawable)
        kept = np.bincount(rows, minlength=len(queries))
        first, end = window or (0, self.pool)
        counts = (np.minimum(kept, end) - first).clip(min=0)
        if self.sampling == "top":
            places = np.where(np.arange(self.k) < counts[:, None], np.arange(self.k), -1)
        else:
            places = shuffled(counts, self.k, rngs)
        drawn = places >= 0
        column = columns[((np.cumsum(kept) - kept + first)[:, None] + places)[drawn]]
        row = np.nonzero(drawn)[0]
        ids, scores = np.full(places.shape, -1, np.int32), np.full(places.shape, np.nan, np.float32)
        ids[drawn] = lists[row, column]
        teacher = self.store.teachers
        if teacher is None:
            return Draws(ids)
        scores[drawn] = teacher[queries[row], column]
        return Draws(ids, scores)

    def positive_teacher(self, query: int, which: int) -> float:
        """The teacher's score of the query's `which`-th labelled positive."""
        return np.nan if self.store is None else self.store.positive_teacher(query, which)

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """Return the teacher's scores of the queries' labelled positives."""
        if self.store is None:
            return super().positive_teachers(queries, which)
        return self.store.positive_teachers(queries, which)

    def relabelled(self, query: int) -> Draw:
        """Name what the teacher found relevant in the last round."""
        if self.store is None:
            return super().relabelled(query)
        return Draw(self.store.relabelled(query), self.store.relabelled_teacher(query))

    def report(self) -> dict[str, float]:
        """How the lists came out (see `mining.health`); nothing before there are any."""
        if self.store is None:
            return {}
        return health(self.store, self.k, self.pool, self.previous, self.findable, self.depth)

    def __getstate__(self) -> dict[str, Any]:
        """Workers only draw: what mines stays in the main process."""
        return {**vars(self), "miner": None, "teacher": None, "findable": None}
