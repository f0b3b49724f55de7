"""Data sets of a mix with numbers of negatives of their own."""

from __future__ import annotations

import numpy as np

from hardneg.data.parts import Part
from hardneg.negatives.base import Draw, OfflineSource
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.per_set import PerSet


class Count(OfflineSource):
    def draw(self, query, rng):
        return Draw(np.arange(self.k, dtype=np.int32) + 10 * query)


def parts(**k):
    return [
        Part("web", range(2), range(50), k=k.get("web", {})),
        Part("faq", range(2, 4), range(50), k=k.get("faq", {})),
    ]


def drawn(sources, per_set):
    mixture = Mixture(sources, ("positive", *sources), seed=1, per_set=per_set)
    ids, labels, _ = mixture.draw_batch(np.zeros(2, int), np.array([1, 3]))
    return ids.tolist(), labels.tolist()


def test_a_set_gets_fewer_more_or_none():
    sources = {"mined": Count(2), "random": Count(1)}
    per_set = PerSet(parts(faq={"mined": 3, "random": 0}), sources)
    assert (sources["mined"].k, sources["random"].k) == (2, 1), "looking at the sources changes none"
    per_set.resize(sources)
    ids, labels = drawn(sources, per_set)
    assert ids == [[10, 11, 10, -1], [30, 31, 32, -1]], (
        "web as the sources say; the batch has room for what any set gets"
    )
    assert labels[0][:3] == [1, 1, 2] and labels[1][:3] == [1, 1, 1]


def test_without_numbers_of_its_own_everything_is_as_it_was():
    sources = {"mined": Count(2), "random": Count(1)}
    per_set = PerSet(parts(), sources)
    per_set.resize(sources)
    assert drawn(sources, per_set) == drawn(sources, None)
    assert (sources["mined"].k, sources["random"].k) == (2, 1)
