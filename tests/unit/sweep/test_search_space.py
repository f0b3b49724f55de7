"""What a search chooses from, read from Hydra's words for several values."""

from __future__ import annotations

import re

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.errors import ConfigError, UserError
from hardneg.runs import study
from hardneg.sweep.search import SearchSettings, search
from hardneg.sweep.search_space import space_of

optuna = pytest.importorskip("optuna")
D = optuna.distributions


pytestmark = pytest.mark.usefixtures("composing")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer.lr=tag(log, interval(0.001, 0.1))", D.FloatDistribution(0.001, 0.1, log=True)),
        ("loss.infonce.temperature=interval(0.02, 0.1)", D.FloatDistribution(0.02, 0.1)),
        ("negatives.bm25.k=int(interval(1, 8))", D.IntDistribution(1, 8)),
        ("negatives.bm25.k=int(interval(0, 8))", D.IntDistribution(0, 8)),
        ("shift=int(interval(-4, 0))", D.IntDistribution(-4, 0)),
        ("loss.label_smoothing=interval(0, 1)", D.FloatDistribution(0.0, 1.0)),
        ("negatives.bm25.k=range(1, 8, 3)", D.IntDistribution(1, 7, step=3)),
        ("negatives.bm25.k=range(0, 3)", D.IntDistribution(0, 2)),
        ("loss.infonce.temperature=range(0.1, 0.5, 0.1)", D.FloatDistribution(0.1, 0.4, step=0.1)),
        ("loss.infonce.temperature=range(0.1, 0.45, 0.1)", D.FloatDistribution(0.1, 0.4, step=0.1)),
        ("loss.infonce.temperature=range(1, 0, -0.25)", D.FloatDistribution(0.25, 1.0, step=0.25)),
        ("loss.infonce.temperature=range(0, 1, 0.3)", D.FloatDistribution(0.0, 0.9, step=0.3)),  # 3 x 0.3 < 0.9
        ("loss.infonce.temperature=range(0, 0.9, 0.3)", D.FloatDistribution(0.0, 0.6, step=0.3)),
        ("seed=range(0, 1000000000000)", D.IntDistribution(0, 999999999999)),  # never a list of them
        ("batch_size=choice(64, 128)", D.CategoricalDistribution(["64", "128"])),
        ("negatives=[in_batch],[in_batch,bm25]", D.CategoricalDistribution(["[in_batch]", "[in_batch,bm25]"])),
    ],
)
def test_words_are_distributions(word, expected):
    space, same = space_of([word, "data=toy"])
    assert list(space.values()) == [expected] and same == ["data=toy"]


def test_a_later_word_replaces_an_earlier_one():
    space, same = space_of(["batch_size=choice(64, 128)", "optimizer.lr=interval(0.1, 0.2)", "batch_size=32"])
    assert list(space) == ["optimizer.lr"] and same == ["batch_size=32"]


def test_an_empty_range_is_refused():
    with pytest.raises(ConfigError, match=r"k=range\(3, 3\): the range is empty"):
        space_of(["negatives.bm25.k=range(3, 3)"])


@pytest.mark.parametrize("word", ["negatives.bm25.k=range(1, 3, 0)", "optimizer.lr=range(0.1, 0.3, 0)"])
def test_a_range_without_a_step_is_refused(word):
    with pytest.raises(ConfigError, match="the step is 0"):
        space_of([word])


@pytest.mark.parametrize("word", ["a=tag(log, range(1, 100, 10))", "a=tag(log, interval(0, 1))", "a=interval(3, 2)"])
def test_what_optuna_refuses_is_named(word):
    """It ended in a traceback of Optuna's, which did not say of which key."""
    with pytest.raises(ConfigError, match=rf"^{re.escape(word)}: "):
        space_of([word])


def test_nothing_to_search_is_refused():
    with pytest.raises(ConfigError, match="nothing to search"):
        space_of(["batch_size=32"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_trials": 0}, "n_trials=0 must be a whole number"),
        ({"sampler": "tpee"}, "sampler=tpee is not known; there are tpe"),
        ({"pruner": "mean"}, "pruner=mean is not known"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        SearchSettings(**settings)


def test_without_optuna_a_search_says_what_to_install(monkeypatch):
    """It was a traceback: the space, made of Optuna's distributions, comes before the study."""
    monkeypatch.setattr(study, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'hardneg\[search\]'"):
        search(OmegaConf.create(), BasicLauncher(), SearchSettings(), ["optimizer.lr=interval(0.1, 1)"])
