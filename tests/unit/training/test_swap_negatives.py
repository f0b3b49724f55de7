"""The callback that has easy negatives swapped: what it keeps of each step, when it judges, what a checkpoint holds."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

from hardneg.data.tables import Part
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.store import Store
from hardneg.negatives.stored import Stored
from hardneg.negatives.swap import Swap
from hardneg.testing.synthetic import make_candidates
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.remine import Remine
from hardneg.training.callbacks.swap_negatives import SwapNegatives

NAMES = ("positive", "bm25", "mined", "in_batch")


class Module(TrainingModule):
    def __init__(self):
        nn.Module.__init__(self)
        self.watchers = []


class Log:
    def __init__(self):
        self.rows = []

    def log_metrics(self, numbers, step):
        self.rows.append((step, numbers))


@pytest.fixture
def lists(tmp_path):
    """A store of three queries: query q lists 10 * q + 1 to 10 * q + 6."""

    def make(name="one"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        ids = (10 * np.arange(3)[:, None] + np.arange(1, 7)).astype(np.int32)
        zeros = np.zeros(ids.shape, np.float32)
        for key, array in {"ids": ids, "reasons": zeros.astype(np.uint8), "scores": zeros, "positive": zeros}.items():
            np.save(folder / f"{key}.npy", array)
        (folder / "card.json").write_text('{"reasons": ["kept"]}')
        return Store(folder)

    return make


class World:
    """A source of two negatives a query from its list, and a run over it by hand."""

    def __init__(self, store, every=2, **more):
        self.source = Stored(2, BM25(), depth=6, sampling="top", swap=Swap(every, **more))
        self.source.use(store)
        sources = {"mined": self.source, "bm25": Stored(2, BM25(), depth=6)}
        self.callback, self.module, self.log = SwapNegatives(sources, NAMES), Module(), Log()
        self.step, self.others = 0, []

    def begin(self):
        self.callback.on_train_start(self.trainer, self.module)

    @property
    def trainer(self):
        numbers = {"num_training_batches": 21, "accumulate_grad_batches": 2, "is_global_zero": True}
        return Mock(spec=L.Trainer, global_step=self.step, loggers=[self.log], callbacks=self.others, **numbers)

    def train(self, query, scores, ends=True):
        """A batch of one query: a positive, a document of bm25's, the two drawn of mined's, and one of the batch."""
        docs = self.drawn(query)
        candidates = make_candidates(
            torch.tensor([[0.9, 0.2, *scores, 0.1]], requires_grad=True),
            ids=[[0, 10 * query + 1, *docs, 99]],
            source=[[0, 1, 2, 2, 3]],
            names=NAMES,
            query_ids=torch.tensor([query]),
            slots=4,
        )
        for watch in self.module.watchers:
            watch(candidates)
        self.step += ends
        self.callback.on_train_batch_end(self.trainer, self.module)

    def drawn(self, query):
        return self.source.draw(query, np.random.default_rng(0)).ids.tolist()


def test_easy_ones_are_swapped_every_so_many_steps_and_it_is_logged(lists):
    world = World(lists())
    world.begin()
    world.train(1, [0.7, 0.7])
    world.train(1, [0.6, 0.7])
    assert world.drawn(1) == [12, 13], "1.15 * 0.6 is below 0.7"
    assert world.log.rows == [(2, {"negatives/mined/easy": 0.5, "negatives/mined/swapped": 0.5})]
    world.train(1, [0.5, 0.7])
    assert world.drawn(1) == [12, 13], "not before the steps are up"
    world.train(2, [0.3, 0.3])
    assert world.drawn(1) == [13, 14] and world.drawn(2) == [21, 22] and world.drawn(0) == [1, 2]
    assert world.log.rows[1] == (4, {"negatives/mined/easy": 0.25, "negatives/mined/swapped": 0.25})


def test_batches_that_are_accumulated_are_one_step(lists):
    world = World(lists(), every=1)
    world.begin()
    world.train(1, [0.7, 0.7])
    world.train(1, [0.6, 0.7], ends=False)
    assert world.drawn(1) == [11, 12]
    world.train(1, [0.6, 0.7])
    assert world.drawn(1) == [12, 13]


def test_only_the_own_documents_are_held(lists):
    world = World(lists(), every=100)
    world.begin()
    world.train(1, [0.7, 0.7])
    sizes = [x.untyped_storage().nbytes() // x.element_size() for x in world.callback.fresh["mined"][0]]
    assert sizes == [1, 4, 4, 4] and not any(x.requires_grad for x in world.callback.fresh["mined"][0])


def test_many_steps_do_not_pile_up_on_the_device(lists, monkeypatch):
    monkeypatch.setattr("hardneg.training.callbacks.swap_negatives.MOST", 1)
    world = World(lists())
    world.begin()
    for scores in ([0.7, 0.7], [0.6, 0.7]):
        world.train(1, scores)
        assert world.callback.fresh["mined"] == []
    assert world.drawn(1) == [12, 13]


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_run_that_is_cut_at_any_step_goes_on_as_if_it_was_not(lists, at):
    steps = [(1, [0.7, 0.7]), (1, [0.65, 0.7]), (1, [0.5, 0.4]), (2, [0.9, 0.9]), (2, [0.5, 0.75]), (1, [0.1, 0.3])]
    whole, cut, resumed = (World(lists()) for _ in range(3))
    for world in (whole, cut):
        world.begin()
        for step in steps[: at if world is cut else None]:
            world.train(*step)
    resumed.callback.load_state_dict(torch.load(saved(cut, lists), weights_only=True))
    resumed.step = at
    resumed.begin()
    for step in steps[at:]:
        resumed.train(*step)
    assert [resumed.drawn(query) for query in range(3)] == [whole.drawn(query) for query in range(3)]
    assert whole.drawn(1) != [11, 12] and cut.log.rows + resumed.log.rows == whole.log.rows


def saved(world, lists):
    path = lists().folder / "state.pt"
    torch.save(world.callback.state_dict(), path)
    return path


def test_new_lists_begin_anew_also_where_a_checkpoint_knows_older_ones(lists):
    world = World(lists())
    world.begin()
    world.train(1, [0.7, 0.7])
    world.source.use(lists())
    world.train(1, [0.5, 0.5])
    assert world.drawn(1) == [11, 12], "what was drawn from the old lists says nothing of these"
    state = world.callback.state_dict()
    for name, first in (("one", [12, 13]), ("two", [11, 12])):
        later = World(lists(name), ceiling=None)
        later.callback.load_state_dict(state)
        later.step = 2
        later.begin()
        later.train(1, [0.4, 0.5])
        later.train(1, [0.4, 0.5])
        assert later.drawn(1) == first


def test_without_lists_nothing_is_held(lists):
    world = World(lists())
    world.source.store = world.source.swapped = None
    world.begin()
    world.train(1, [0.7, 0.7])
    assert world.callback.fresh["mined"] == [] and world.callback.state_dict()["sources"] == {}


@pytest.mark.parametrize(
    ("every", "more", "mixed", "warned"),
    [
        (11, {}, (), True),
        (12, {}, (), False),
        (11, {"floor": 0.4}, (), False),
        (11, {}, (Part("faq", range(3), range(9)),), False),
    ],
)
def test_lists_that_are_new_within_an_epoch_are_warned_of(lists, caplog, every, more, mixed, warned):
    world = World(lists(), **more)
    world.source.miner = Dense()  # of the model in training
    setting = Mock(training=Mock(data=Mock(mixed=mixed)))
    world.others = [Mock(spec=Remine, every_n_steps=every, setting=setting)]
    world.begin()
    said = f"negatives.mined.swap: remine.every_n_steps={every} gives new lists within an epoch of 11 steps"
    assert (said in caplog.text) == warned == ("or set negatives.mined.swap.floor" in caplog.text)
