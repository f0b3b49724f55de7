"""The world of users and items: what is taken is liked, popular items are taken more, splits do not overlap."""

from __future__ import annotations

import numpy as np
import pytest
from confs import CONF
from judged_pairs import everything, pairs
from omegaconf import OmegaConf

from hardneg.data.interactions import Interactions
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError

SMALL = {"users": 200, "items": 150, "liked": 30, "taken": 8}


def test_users_take_what_they_like_and_no_item_is_in_two_splits():
    data = Interactions(**SMALL).load()
    truth = pairs(data.truth)
    train, dev, test, cold, liked = (pairs(data.qrels[name]) for name in ("train", "dev", "test", "cold", "liked"))
    assert len(truth) == 200 * 30 and truth >= train | dev | test | cold
    assert len(train | dev | test) == len(train) + len(dev) + len(test) == 180 * 8
    assert {query for query, _ in cold}.isdisjoint(query for query, _ in train) and len(cold) == 20 * 8
    assert liked == {pair for pair in truth - train if pair[0] in {query for query, _ in train}}


def test_popularity_decides_what_is_taken_and_not_what_is_liked():
    def share_of_the_top(popularity):
        data = Interactions(users=1000, popularity=popularity).load()
        taken, liked = (np.bincount(qrels.docs, minlength=1000) for qrels in (data.qrels["train"], data.truth))
        return np.sort(taken)[-50:].sum() / taken.sum(), np.sort(liked)[-50:].sum() / liked.sum()

    (even, likes), (zipf, same) = share_of_the_top(0.0), share_of_the_top(1.5)
    assert likes == same and zipf > 1.5 * even


def test_equal_arguments_give_equal_worlds_and_another_seed_another():
    one, two, three = (Interactions(**SMALL, seed=seed).load() for seed in (1, 1, 2))
    assert everything(one) == everything(two) != everything(three)


def test_texts_are_features():
    data = Interactions(**SMALL).load()
    assert data.queries[7].split()[0] == "user=7" and data.queries[7].split()[2].startswith("fan=g")
    assert data.corpus[3].split()[0] == "item=3" and "genre=g" in data.corpus[3]


def test_all_that_a_user_took_for_training_is_known():
    """A user has many positives: none may be a negative when another of them is shown."""
    training = TrainingSet(Interactions(**SMALL).load())
    assert set(training.positives.counts[training.queries]) == {2}
    for query in training.queries[:20].tolist():
        assert set(training.positives[query]) <= set(training.known[query])
    assert training.popularity().sum() == pytest.approx(1)
    assert len(training.asked) == 180


def test_the_yaml_shows_the_defaults():
    node = OmegaConf.to_container(OmegaConf.load(CONF / "data" / "interactions.yaml"))
    assert {k: v for k, v in node.items() if k != "_target_"} == vars(Interactions())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"users": 1}, "data.users: must be at least 2"),
        ({"taken": 6}, "dev . test < taken"),
        ({"liked": 5000}, "liked <= items"),
        ({"popularity": -1.0}, "data.popularity"),
        ({"cold": 1.0}, "data.cold"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        Interactions(**given)
