"""Random: uniform over what is not a known positive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from hardneg.errors import ConfigError
from hardneg.negatives.base import Setting
from hardneg.negatives.random import Random
from hardneg.testing.synthetic import make_training


def source(k, size, known):
    made = Random(k)
    made.prepare(Setting(make_training([(0, doc) for doc in known], docs=size), {}, Path("unused")))
    return made


def test_uniform_over_all_but_the_known_positives():
    one = source(3, 12, [2, 7])
    drawn = np.concatenate([one.draw(0, np.random.default_rng(seed)).ids for seed in range(3000)])
    counts = np.bincount(drawn, minlength=12)
    assert counts[[2, 7]].tolist() == [0, 0]
    assert chisquare(np.delete(counts, [2, 7])).pvalue > 0.001


def test_every_place_of_the_draw_is_uniform():
    one = source(2, 6, [0])
    first = [one.draw(0, np.random.default_rng(seed)).ids[0] for seed in range(2000)]
    assert chisquare(np.bincount(first, minlength=6)[1:]).pvalue > 0.001


@pytest.mark.parametrize(("size", "known", "valid"), [(5, [1], 4), (3, [0, 1, 2], 0), (10, [4], 6)])
def test_a_small_corpus_gives_all_it_has_and_padding(size, known, valid):
    ids = source(6, size, known).draw(0, np.random.default_rng(0)).ids
    assert ids.shape == (6,) and (ids[valid:] == -1).all()
    assert len(set(ids[:valid].tolist()) - {-1, *known}) == valid


def test_k_must_be_positive():
    with pytest.raises(ConfigError, match="k >= 1"):
        Random(0)
