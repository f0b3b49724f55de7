"""Batches of one set: how many of each, in which order, with which rows."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest

from hardneg.data.datamodule import Batches
from hardneg.data.dataset import TrainingRows
from hardneg.data.same_set_batches import Order
from hardneg.data.sampler import EpochSampler
from hardneg.errors import ConfigError
from hardneg.negatives.mixture import Mixture
from hardneg.testing.synthetic import make_training

SIZES = {"big": 21, "small": 5, "middle": 10}  # rows 0-20, 21-25, 26-35


def set_of(index):
    return "big" if index < 21 else "small" if index < 26 else "middle"


def batches(temper=1.0, batch_size=2, *, epoch=0, start=0, sets=SIZES, **more):
    sampler = EpochSampler(sum(sets.values()), batch_size, 7, order=Order(sets, temper), **more)
    sampler.set_epoch(epoch)
    sampler.start = start
    found = [[(place.epoch, place.row) for place in batch] for batch in sampler]
    assert start or len(found) == len(sampler)
    return found


@pytest.mark.parametrize("temper", [1.0, 0.5, 0.0])
def test_each_batch_is_of_one_set_and_holds_no_row_twice(temper):
    for epoch in range(3):
        for batch in batches(temper, epoch=epoch):
            assert len({set_of(index) for _, index in batch}) == 1 and len({index for _, index in batch}) == 2


@pytest.mark.parametrize(
    ("temper", "counts"),
    [
        (1.0, [10, 2, 5]),  # the whole batches of each
        (0.0, [6, 6, 5]),  # 17 / 3 = 5.67 each: the remainder of 2 goes to the first two
        (0.5, [8, 3, 6]),  # 17 * sqrt(10, 2, 5) / (3.162 + 1.414 + 2.236) = 7.89, 3.53, 5.58
    ],
)
def test_temper_by_hand(temper, counts):
    assert Order(SIZES, temper).batches(2) == counts
    seen = Counter(set_of(batch[0][1]) for batch in batches(temper))
    assert [seen[name] for name in SIZES] == counts


def test_in_proportion_every_set_is_gone_through_once():
    rows = Counter(index for _, index in chain(*batches()))
    assert set(rows.values()) == {1} and len(rows) == 34


def test_small_sets_come_again_in_another_order_as_another_visit():
    small = [batch for epoch in (0, 1) for batch in batches(0.0, epoch=epoch) if set_of(batch[0][1]) == "small"]
    visits = [batch[0][0] for batch in small]
    assert visits == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "six batches an epoch are three visits of two"
    by_visit = [tuple(index for _, index in [*small[i], *small[i + 1]]) for i in range(0, 12, 2)]
    assert len(set(by_visit)) > 3
    assert {index for visit in by_visit for index in visit} == {21, 22, 23, 24, 25}, "no row is left out for ever"


@pytest.mark.parametrize("blended", [False, True])
def test_what_an_epoch_leaves_of_a_set_comes_in_the_next(blended):
    """Positives take turns by the visit: each epoch began a new one, and the second of two was hardly ever shown."""
    order = Order(SIZES, 0.5, blended)  # an epoch has 8 of 10, 3 of 2 and 6 of 5 batches
    rows = np.concatenate([order.epoch(7, epoch, 2) for epoch in range(12)]).tolist()
    for name, size in SIZES.items():
        visits = Counter(visit for visit, row in rows if set_of(row) == name)
        *finished, _ = (visits[visit] for visit in sorted(visits))
        assert list(visits) == list(range(len(visits))) and all(size - count < 2 for count in finished)
    assert max(Counter(map(tuple, rows)).values()) == 1, "no row comes twice in a visit"


def test_large_sets_go_on_with_other_rows_in_the_next_epoch():
    seen = {i for epoch in range(20) for _, i in chain(*batches(0.0, epoch=epoch)) if i < 21}
    assert seen == set(range(21))


def test_sets_take_turns_at_random_and_epochs_differ():
    orders = [[set_of(batch[0][1]) for batch in batches(epoch=epoch)] for epoch in range(4)]
    assert len({tuple(order) for order in orders}) == 4
    assert batches() == batches() and batches(epoch=1) != batches(epoch=2)


@pytest.mark.parametrize("temper", [1.0, 0.3])
def test_ranks_together_see_what_one_with_the_whole_batch_sees(temper):
    sets = {"a": 40, "b": 9}
    whole = batches(temper, 4, sets=sets)
    shares = [batches(temper, 2, sets=sets, rank=rank, world_size=2) for rank in (0, 1)]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == whole


def test_start_skips_what_was_seen():
    assert batches(0.5, epoch=2, start=6) == batches(0.5, epoch=2)[6:]


def test_one_set_is_in_the_order_that_it_always_was():
    order = np.random.default_rng((7, 3)).permutation(9)[:8]
    for temper in (0.0, 1.0):
        found = batches(temper, epoch=3, sets={"only": 9})
        assert found == [[(3, a), (3, b)] for a, b in order.reshape(-1, 2).tolist()]


def test_a_set_that_fills_no_batch_is_refused():
    rows = TrainingRows(make_training([(0, 0)]), Mixture({}, ("positive",), seed=1))
    loader = Batches(rows, list, batch_size=6, seed=1, order=Order(SIZES))
    with pytest.raises(ConfigError, match="batch_size=6 is more than the 5 training queries of small"):
        loader.train_dataloader()


@pytest.mark.parametrize(("temper", "counts"), [(1.0, [21, 5, 10]), (0.0, [12, 12, 12])])
def test_blended_batches_hold_several_sets_in_the_same_proportion(temper, counts):
    sampler = EpochSampler(36, 6, 7, order=Order(SIZES, temper, blended=True))
    found = [[place.row for place in batch] for batch in sampler]
    assert len(found) == len(sampler) == 6 and all(len(batch) == 6 for batch in found)
    seen = Counter(map(set_of, chain(*found)))
    assert [seen[name] for name in SIZES] == counts
    assert any(len(set(map(set_of, batch))) > 1 for batch in found)
    assert len(Order(SIZES, blended=True).epoch(7, 0, 5)) == 35, "only the end is cut"


def test_what_an_epoch_holds_is_told_in_batches_or_in_queries():
    assert Order(SIZES).told(6) == "batches an epoch: big 3, small 0, middle 1"
    told = Order(SIZES, temper=0.0, blended=True).told(6)
    assert told == "queries an epoch, in 6 blended batches: big 12, small 12, middle 12"


def test_ranks_share_a_blended_batch():
    order = Order(SIZES, blended=True)
    whole = [list(batch) for batch in EpochSampler(36, 6, 7, order=order)]
    shares = [list(EpochSampler(36, 3, 7, rank, 2, order)) for rank in range(2)]
    assert whole == [[*first, *second] for first, second in zip(*shares, strict=True)]


def test_blended_sets_may_be_smaller_than_a_batch():
    Order(SIZES, blended=True).check(30, 1)
    with pytest.raises(ConfigError, match="36 training queries of all sets"):
        Order(SIZES, blended=True).check(30, 2)
