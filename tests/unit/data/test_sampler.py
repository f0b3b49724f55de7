"""The order of training, and the loader that can go on in the middle of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from hardneg.data.loader import ResumableLoader
from hardneg.data.sampler import EpochSampler


def batches(size=23, batch_size=2, *, epoch=0, start=0, **more):
    sampler = EpochSampler(size, batch_size, 7, **more)
    sampler.set_epoch(epoch)
    sampler.start = start
    return list(sampler)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_together_see_what_one_process_with_the_whole_batch_sees(world_size):
    whole = batches(batch_size=2 * world_size)
    shares = [batches(rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [list(itertools.chain(*parts)) for parts in zip(*shares, strict=True)] == whole
    assert len(EpochSampler(23, 2, 7, world_size=world_size)) == len(whole) == 23 // (2 * world_size)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_is_a_permutation(epoch):
    keys = list(itertools.chain(*batches(24, epoch=epoch)))
    assert {key[0] for key in keys} == {epoch} and sorted(key[1] for key in keys) == list(range(24))


def test_epochs_and_seeds_differ_and_repeat():
    assert batches(epoch=1) != [[key._replace(epoch=1, batch=key.batch + 11) for key in batch] for batch in batches()]
    assert batches() == batches()
    assert batches() != list(EpochSampler(23, 2, 8))


def test_batches_are_numbered_over_all_epochs():
    numbers = [{key.batch for key in batch} for epoch in (0, 1) for batch in batches(epoch=epoch)]
    assert numbers == [{number} for number in range(22)]


def test_start_skips_what_was_seen():
    assert batches(start=4) == batches()[4:]


class Keys(Dataset):
    def __getitem__(self, key):
        return key


def loader(workers):
    sampler = EpochSampler(12, 2, 7)
    return ResumableLoader(DataLoader(Keys(), batch_sampler=sampler, collate_fn=list, num_workers=workers), sampler)


def run_epoch(one, epoch, stop=None):
    """As Lightning does: the iterator first, the epoch then."""
    iterator = iter(one)
    one.sampler.set_epoch(epoch)
    found = []
    for batch in iterator:
        found.append(batch)
        if len(found) == stop:
            break
    return found


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_resumed_epoch_goes_on_where_it_stopped_and_the_next_is_whole(stop, workers):
    straight = loader(0)
    expected = [run_epoch(straight, epoch) for epoch in range(3)]
    first = loader(workers)
    assert run_epoch(first, 0) == expected[0]
    assert run_epoch(first, 1, stop) == expected[1][:stop]
    state = first.position

    resumed = loader(workers)
    resumed.go_on(state)
    assert run_epoch(resumed, 1) == expected[1][stop:]
    assert run_epoch(resumed, 2) == expected[2]


def test_the_position_is_what_was_handed_out_and_not_what_workers_fetched_ahead():
    one = loader(2)
    run_epoch(one, 0, stop=2)
    assert one.position["handed_out"] == 2


def test_an_epoch_cut_short_by_limit_train_batches_starts_anew_in_the_next():
    one = loader(0)
    run_epoch(one, 0, stop=2)
    state = one.position  # saved at the end of epoch 0; Lightning goes on with epoch 1
    resumed = loader(0)
    resumed.go_on(state)
    whole = loader(0)
    run_epoch(whole, 0)
    assert run_epoch(resumed, 1, stop=2) == run_epoch(whole, 1)[:2] == run_epoch(one, 1, stop=2)


def test_the_last_incomplete_global_batch_is_dropped():
    assert len(batches(5, 2)) == 2 and batches(1, 2) == []
    assert np.array(batches(5, 2)).shape == (2, 2, 3)
