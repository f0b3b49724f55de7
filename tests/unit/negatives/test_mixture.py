"""Mixture: labels, teacher scores and streams of random numbers that do not touch each other."""

from __future__ import annotations

import numpy as np
from dice import NAMES, Dice

from hardneg.negatives.mixture import Mixture


def mixture(seed=1, **sources):
    return Mixture(sources, NAMES, seed)


def test_slots_come_source_by_source_with_their_labels():
    ids, labels, teacher = mixture(b=Dice(2), a=Dice(1), c=Dice(3, has_teacher=True)).draw(0, 5)
    assert labels.tolist() == [2, 2, 1, 4, 4, 4]
    np.testing.assert_allclose(teacher, [np.nan] * 3 + (ids[3:] / 10).tolist())
    assert (ids.dtype, labels.dtype, teacher.dtype) == (np.int32, np.int32, np.float32)


def test_it_has_a_teacher_if_some_source_has_one():
    assert mixture(a=Dice(1), b=Dice(1, has_teacher=True)).has_teacher
    assert not mixture(a=Dice(1)).has_teacher and not mixture().has_teacher


def test_without_sources_a_row_has_no_negatives():
    assert mixture().k == 0 and [len(part) for part in mixture().draw(0, 0)] == [0, 0, 0]


def test_adding_a_source_leaves_the_others_draws_as_they_were():
    alone, more = mixture(b=Dice(3)), mixture(a=Dice(2), b=Dice(3), c=Dice(1))
    for query in range(10):
        np.testing.assert_array_equal(alone.draw(4, query)[0], more.draw(4, query)[0][2:5])


def test_another_epoch_query_seed_or_name_is_another_draw():
    base = mixture(a=Dice(8)).draw(0, 0)[0].tolist()
    others = [
        mixture(a=Dice(8)).draw(1, 0),
        mixture(a=Dice(8)).draw(0, 1),
        mixture(seed=2, a=Dice(8)).draw(0, 0),
        mixture(b=Dice(8)).draw(0, 0),
    ]
    assert base not in [ids.tolist() for ids, *_ in others]
    assert base == mixture(a=Dice(8)).draw(0, 0)[0].tolist()
