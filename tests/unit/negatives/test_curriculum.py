"""Curriculum: what holds at which share of the training, by hand."""

from __future__ import annotations

import math
import pickle
from unittest.mock import Mock

import lightning as L
import numpy as np
import pytest
from dice import NAMES, Dice

from hardneg.errors import ConfigError
from hardneg.mining.bm25 import BM25
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.curriculum_pace import Measured, Time
from hardneg.negatives.mixture import Mixture, slots
from hardneg.negatives.queue import Queue
from hardneg.negatives.stored import Stored
from hardneg.training.callbacks.follow_curriculum import planned_batches


def over_time(total=12, shuffled=False, **moves):
    one = Curriculum(pace=Time(shuffled, seed=3), **moves)
    one.pace.plan(total)
    return one


@pytest.mark.parametrize(
    ("progress", "steps", "linear"), [(0.0, 1, 1.0), (0.32, 1, 0.68), (0.34, 0, 0.66), (0.5, 0, 0.5), (1.0, 0.5, 0.5)]
)
def test_values_in_steps_and_gliding(progress, steps, linear):
    assert Curriculum(share={"a": [1, 0, 0.5]})._value([1, 0, 0.5], progress) == steps
    gliding = Curriculum(temperature={"x": [1.0, 0.5, 0.5]}, shape="linear", at=[0.5])
    assert gliding.temperatures(progress)["x"] == pytest.approx(max(1 - progress, 0.5)) == pytest.approx(linear)


def test_stages_begin_where_they_are_told():
    one = Curriculum(window={"a": [[5, 9], [2, 6], [0, 4]]}, at=[0.2, 0.9])
    assert [one.window_at("a", p) for p in (0.0, 0.19, 0.2, 0.89, 0.9)] == [(5, 9), (5, 9), (2, 6), (2, 6), (0, 4)]
    assert one.window_at("b", 0.0) is None


@pytest.mark.parametrize("total", [9, 33, 100, 1000])
def test_each_of_three_stages_is_a_third_of_the_batches(total):
    one = over_time(total, share={"a": [1, 0, 0]})
    one.slots = 1
    on = [int(one.counts(["a"], one.pace.progress(b), [0.6])["a"][0]) for b in range(total)]
    assert sum(on) == math.ceil(total / 3) and on == sorted(on, reverse=True)


def test_shares_of_slots_are_exact_on_average_and_never_more_than_a_slot_off():
    one = Curriculum(share={"a": [0.3], "b": [0.45]}, slots=4)
    rounding = np.random.default_rng(0).random(4000).tolist()
    counts = np.stack(list(one.counts(["a", "b"], 0.0, rounding).values()), axis=1)
    np.testing.assert_allclose(counts.mean(axis=0), [1.2, 1.8], atol=0.03)
    assert set(counts[:, 0]) == {1, 2} and set(counts.sum(axis=1)) == {3}


def drawn(one, batch, epoch=0, query=5, **sources):
    one.resize(sources)
    return Mixture(sources, NAMES, 1, one).draw(epoch, query, batch)


def test_the_sources_of_a_curriculum_share_the_slots_and_the_others_keep_theirs():
    one = over_time(share={"a": [1, 0.5, 0], "b": [0, 0.5, 0]}, slots=4)
    labels = [drawn(one, batch, a=Dice(1), b=Dice(2), c=Dice(3))[1].tolist() for batch in (0, 5, 11)]
    assert labels[0] == [1, 1, 1, 1, 4, 4, 4]
    assert labels[1] == [1, 1, 2, 2, 4, 4, 4]
    ids, last, teacher = drawn(one, 11, a=Dice(1), b=Dice(2), c=Dice(3))
    assert last.tolist()[:3] == [4, 4, 4] and (ids[:3] >= 0).all() and (ids[3:] == -1).all()
    assert 0 not in last, "an empty slot would be taken for a positive"
    assert np.isnan(teacher).all()


def test_a_row_has_the_slots_that_sources_share_and_those_of_the_others():
    one = over_time(share={"a": [1, 0], "b": [0, 1]}, slots=4)
    sources = {"a": Dice(4), "b": Dice(4), "c": Dice(3)}
    assert slots(sources) == 11
    one.resize(sources)
    assert slots(sources, one) == Mixture(sources, NAMES, 1, one).k == 7


def test_what_a_source_draws_does_not_depend_on_what_the_others_get():
    with_b, alone = (over_time(share={"a": [1, 0.5], **more}, slots=4) for more in ({"b": [0, 0.5]}, {}))
    first = drawn(with_b, 6, a=Dice(1), b=Dice(1))[0][:2]
    np.testing.assert_array_equal(first, drawn(alone, 6, a=Dice(1))[0][:2])
    np.testing.assert_array_equal(first, drawn(alone, 0, a=Dice(1))[0][:2])


def test_shuffled_is_the_same_batches_in_another_order():
    one, other = (over_time(24, shuffled, share={"a": [1, 0, 0]}) for shuffled in (False, True))
    progress = [[c.pace.progress(batch) for batch in range(24)] for c in (one, other)]
    assert progress[0] != progress[1] and progress[0] == sorted(progress[1])
    assert pickle.loads(pickle.dumps(other)).pace.progress(7) == progress[1][7]
    assert one.pace.foreseeable and not other.pace.foreseeable


def test_mined_only_for_what_may_be_drawn_soon():
    one = over_time(30, share={"a": [0, 0, 1], "b": [1, 0, 0]})
    assert [one.needs("a", start, start + 10) for start in (0, 10, 20)] == [False, False, True]
    assert [one.needs("b", start, start + 10) for start in (0, 10, 20)] == [True, False, False]
    assert one.needs("a", 15, 21) and not one.needs("a", 15, 20) and one.needs("c", 0, 1)
    gliding = over_time(30, share={"a": [0, 0, 1]}, shape="linear")
    assert not gliding.needs("a", 0, 10) and gliding.needs("a", 10, 17)


def test_online_sources_rest():
    sources = {"a": Dice(1), "q": Queue(4)}
    one = over_time(share={"q": [1, 0]})
    one.check(sources, {})
    assert one.resting(0.0, ["q", "in_batch"]) == frozenset() and one.resting(0.5, ["q", "in_batch"]) == {"q"}
    assert one.drawn(sources) == [] and Mixture({"a": Dice(3)}, NAMES, 1, one).k == 3


def test_a_check_looks_at_the_sources_and_resizes_none():
    sources = {"a": Dice(1), "b": Dice(2)}
    one = over_time(share={"a": [1, 0], "b": [0, 1]})
    one.check(sources, {})
    assert (sources["a"].k, sources["b"].k, one.slots, one.slots_of(sources)) == (1, 2, None, 3)
    narrow = Stored(1, BM25(), depth=2)
    with pytest.raises(ConfigError, match="k <= pool <= depth, got k=3"):
        one.check({"a": narrow, "b": Dice(2)}, {})
    assert narrow.k == 1


def test_what_moves_is_logged():
    one = over_time(share={"a": [1, 0]}, window={"a": [[0, 4], [2, 6]]}, temperature={"x": [0.1, 0.2]}, slots=2)
    assert one.numbers(0.5) == {
        "curriculum/progress": 0.5,
        "curriculum/share/a": 0,
        "curriculum/temperature/x": 0.2,
        "curriculum/window/a/first": 2.0,
        "curriculum/window/a/end": 6.0,
    }


@pytest.mark.parametrize(
    ("epochs", "steps", "accumulate", "batches"),
    [(3, -1, 1, 15), (3, 4, 1, 4), (3, 99, 4, 15), (-1, 8, 4, 20), (-1, 7, 4, 19), (None, 3, 2, 5)],
)
def test_how_many_batches_a_run_will_have(epochs, steps, accumulate, batches):
    """Five batches an epoch; the last window of an epoch is cut short, and still a step."""
    trainer = Mock(spec=L.Trainer, max_epochs=epochs, max_steps=steps, accumulate_grad_batches=accumulate)
    trainer.train_dataloader = range(5)
    assert planned_batches(trainer) == batches


def test_measured_goes_on_when_the_mean_since_the_last_look_is_below():
    pace = Measured(["loss/a", "loss/b"], below=1.0, every_n_steps=2, rises=2)
    losses = [(3.0, math.nan), (1.0, math.nan), (math.nan, 1.5), (0.0, 1.0), (0.0, 0.0), (0.0, 0.0), (9.0, 9.0)]
    seen = []
    for step, (a, b) in enumerate(losses, 1):
        pace.watch({"loss/a": a, "loss/b": b, "other": 0.0}, step)
        seen.append((pace.progress(step), pace.version))
    # means at the looks: (3 + 1) / 2; (1.5 + 0.5) / 2; 0
    assert seen == [(0, 0), (0, 0), (0, 0), (0.5, 1), (0.5, 1), (1.0, 2), (1.0, 2)]


def test_measured_never_goes_on_without_a_measurement_and_round_trips():
    pace = Measured(["x"], above=0.5, every_n_steps=2, rises=4)
    pace.watch({}, 1)
    pace.watch({"x": math.nan}, 2)
    assert pace.progress(0) == 0
    pace.watch({"x": 0.9}, 3)
    other = Measured(["x"], above=0.5, every_n_steps=2, rises=4)
    other.restore(pace.state())
    for one in (pace, other):
        one.watch({"x": 0.3}, 4)
    assert pace.state() == other.state() and pace.progress(0) == other.progress(0) == 0.25
