"""Batches of one topic: each row once, on any number of ranks and after an interruption."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hardneg.data.same_set_batches import Order
from hardneg.data.sampler import EpochSampler
from hardneg.data.topic_batches import by_topic

SIZES = [9, 4, 13, 2, 8]  # of the topics; in batches of 4: 2, 1, 3, 0, 2 full ones, and 1, 0, 1, 2, 0 rows left
TOPICS = np.random.default_rng(0).permutation(np.repeat(np.arange(5), SIZES))


def batches(width=4, seed=3, epoch=0, start=0, order=None, **ranks):
    order = order or Order({"it": len(TOPICS)}, topics=TOPICS)
    sampler = EpochSampler(len(TOPICS), width, seed, order=order, **ranks)
    sampler.set_epoch(epoch)
    sampler.start = start
    return [[place.row for place in batch] for batch in sampler]


def topics_of(batch):
    return sorted(set(TOPICS[batch].tolist()))


def test_each_topic_fills_what_it_can_and_neighbours_share_the_rest():
    for epoch in range(10):
        found = batches(epoch=epoch)
        assert len(found) == sum(SIZES) // 4 == 9
        alone = Counter(topics_of(batch)[0] for batch in found if len(topics_of(batch)) == 1)
        assert alone == {0: 2, 1: 1, 2: 3, 4: 2}
        (mixed,) = (batch for batch in found if len(topics_of(batch)) > 1)
        assert topics_of(mixed) == [0, 2, 3], "all four that are left over"


def test_every_row_comes_once_an_epoch_and_the_rest_left_out_changes():
    topics = np.repeat(np.arange(6), 5)  # one of each is left over in batches of 4: a batch, and two left out
    missing = set()
    for epoch in range(40):
        rows = by_topic(np.random.default_rng(epoch).permutation(30), topics, 4, np.random.default_rng(epoch))
        assert len(rows) == len(set(rows.tolist())) == 28
        missing |= set(range(30)) - set(rows.tolist())
    assert len(missing) > 15


def test_order_is_a_function_of_seed_and_epoch_and_topics_take_turns_at_random():
    assert batches() == batches() != batches(epoch=1) and batches() != batches(seed=4)
    firsts = Counter(topics_of(batches(epoch=epoch)[0])[0] for epoch in range(200))
    assert firsts[2] > firsts[1], "in proportion to their size"


def test_ranks_share_a_batch_of_one_topic():
    whole = batches(width=4)
    halves = [batches(width=2, rank=rank, world_size=2) for rank in (0, 1)]
    assert [one + other for one, other in zip(*halves, strict=True)] == whole


def test_an_interrupted_epoch_goes_on_with_the_batches_that_are_left():
    assert batches(start=5, epoch=2) == batches(epoch=2)[5:]


@pytest.mark.parametrize("temper", [1.0, 0.0])
def test_within_a_mix_a_batch_is_of_one_set_and_one_topic(temper):
    order = Order({"a": 20, "b": 16}, temper, topics=TOPICS)
    found = batches(order=order)
    assert len(found) == sum(order.batches(4)) and all(len({row < 20 for row in batch}) == 1 for batch in found)
    alone = sum(len(topics_of(batch)) == 1 for batch in found)
    plain = sum(len(topics_of(batch)) == 1 for batch in batches(order=Order({"a": 20, "b": 16}, temper)))
    assert alone >= 5 > plain


def test_blended_batches_are_of_one_topic_of_several_sets():
    found = batches(order=Order({"a": 20, "b": 16}, blended=True, topics=TOPICS))
    assert len(found) == 9 and sum(len(topics_of(batch)) == 1 for batch in found) == 8
    assert any(len({row < 20 for row in batch}) == 2 for batch in found)
    assert len({row for batch in found for row in batch}) == 36


def test_without_topics_nothing_has_changed():
    rows = np.random.default_rng((3, 0, 0, 0)).permutation(36)
    assert batches(order=Order({"it": 36})) == rows.reshape(-1, 4).tolist()


@pytest.mark.parametrize("blended", [False, True])
def test_the_share_of_batches_of_one_topic(blended):
    assert Order({"it": len(TOPICS)}, topics=TOPICS, blended=blended).share_of_one_topic(3, 4) == pytest.approx(8 / 9)
    assert Order({"it": 30}, topics=np.arange(30) // 2, blended=blended).share_of_one_topic(3, 4) == 0.0
