"""Keyword arguments mean what the words of the command line mean."""

from __future__ import annotations

from pathlib import Path

import confs
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from hardneg.api.words import words_of
from hardneg.config import composition
from hardneg.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder": "static", "seed": 2, "split": {"dev": None}}, ["encoder=static", "seed=2", "split.dev=null"]),
        ({"negatives": ["in_batch", "bm25"]}, ["negatives=[in_batch,bm25]"]),
        (
            {"negatives": {"in_batch": None, "bm25": {"k": 2}}, "loss": {"infonce": {}}},
            ["negatives=[in_batch,bm25]", "loss=[infonce]", "negatives.bm25.k=2"],
        ),
        ({"encoder.dim": np.int64(8), "encoder": "static"}, ["encoder=static", "encoder.dim=8"]),
        ({"optimizer": {"lr": 1e-3}, "x": {"y": {"z": True}}}, ["optimizer.lr=0.001", "x.y={z: true}"]),
        ({"data": {"path": Path("a b/c.csv")}}, ["data.path='a b/c.csv'"]),
        ({"name": "true", "other": "it's, so"}, ["name='true'", "other='it\\'s, so'"]),
        ({"evaluate": {"metrics": ["ndcg@10"]}}, ["evaluate.metrics=['ndcg@10']"]),
        ({"callbacks": []}, ["callbacks=[]"]),
    ],
)
def test_settings_become_words(settings, words):
    assert words_of(settings) == words


def test_hydra_reads_the_values_that_were_given():
    composition.register_resolvers()
    path = "/odd, folder's [x]/a=b"
    settings = {
        "data": {"path": path, "columns": {"query": "a question", "negative": ["n 1", "n2"]}, "name": "null"},
        "negatives": {"in_batch": {}, "bm25": {"k": 3}},
        "encoder": "static",
        "encoder.matryoshka": {8: 0.5},
        "optimizer": {"lr": 5e-05},
        "remine": {"keep_last": 2},
        "encoder.query": {"prompt": "ask: "},
    }
    with initialize_config_dir(str(confs.CONF), version_base="1.3"):
        cfg = compose("train", ["data=table", *words_of(settings)])
    assert cfg.data.path == path and cfg.data.name == "null" and cfg.data.columns.query == "a question"
    assert list(cfg.data.columns.negative) == ["n 1", "n2"] and cfg.data.columns.positive is None
    assert cfg.negatives.bm25.k == 3 and list(cfg.negatives) == ["in_batch", "bm25"]
    assert cfg.optimizer.lr == 5e-05 and cfg.remine.keep_last == 2 and cfg.remine.every_n_epochs == 1
    assert (
        cfg.encoder.query.prompt == "ask: " and "max_length" in cfg.encoder.query and cfg.encoder.matryoshka[8] == 0.5
    )


def test_what_a_config_cannot_hold_is_refused():
    with pytest.raises(ConfigError, match="encoder is a object"):
        words_of({"encoder": object()})
    with pytest.raises(ConfigError, match="'a b' cannot be a key"):
        words_of({"data": {"columns": {"a b": 1}}})
    with pytest.raises(ConfigError, match=r"negatives\['bm25'\] is 3; write its settings as a dictionary"):
        words_of({"negatives": {"bm25": 3}})


def test_a_function_is_refused_with_what_to_write_instead():
    def first_hit(qrels, run):
        return {}

    with pytest.raises(ConfigError, match=r"mypackage\.metrics\.first_hit.*HARDNEG_TARGETS=mypackage\."):
        words_of({"evaluate": {"metrics": ["ndcg@10", first_hit]}})
