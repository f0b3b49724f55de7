"""Toy: the dial is right, truth and confusers are what they say, and equal arguments give equal worlds."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from confs import CONF
from judged_pairs import everything, pairs
from omegaconf import OmegaConf

from hardneg.data.pydocs import PyDocs
from hardneg.data.toy import Toy, _Words
from hardneg.errors import ConfigError


def labelled(data):
    return set().union(*(pairs(qrels) for qrels in data.qrels.values()))


def neighbours(data):
    return set(zip(data.given.row_ids.tolist(), data.given.values.tolist(), strict=True))


@pytest.mark.parametrize("rate", [0.0, 0.13, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("size", [{}, {"docs": 97, "queries": 40, "neighbours": 7, "positives": 2}])
def test_dial_truth_and_confusers(rate, size):
    recipe = Toy(false_negative_rate=rate, seed=3, **size)
    data = recipe.load()
    truth, known, near = pairs(data.truth), labelled(data), neighbours(data)
    hidden = truth - known
    assert known <= truth
    assert not known & near and hidden <= near
    assert len(known) == recipe.queries * recipe.positives
    assert len(near) == recipe.queries * recipe.neighbours  # all different documents
    assert abs(len(hidden) / len(near) - rate) < 0.02
    per_query = np.bincount([query for query, _ in hidden], minlength=recipe.queries)
    assert np.ptp(per_query) <= 1


def test_splits_deal_all_queries_once():
    data = Toy().load()
    rows = {name: set(qrels.query_rows.tolist()) for name, qrels in data.qrels.items()}
    assert {name: len(part) for name, part in rows.items()} == {"train": 360, "dev": 60, "test": 180}
    assert len(set().union(*rows.values())) == len(data.queries)


def concepts_said(recipe, data):
    """The concepts of every query, and of every statement of every document, read back from the words alone."""
    stream = np.random.SeedSequence(recipe.seed).spawn(1)[0]
    content = _Words(recipe, np.random.default_rng(stream)).content
    concept = {word: i // recipe.synonyms for i, word in enumerate(content)}
    values = range(2 * recipe.names, 3 * recipe.names)

    def read(text):
        return frozenset(concept[w] for w in text.split() if w in concept and concept[w] not in values)

    documents = [[read(part) for part in text.split(" . ")] for text in data.corpus.texts.to_pylist()]
    return [read(text) for text in data.queries.texts.to_pylist()], documents


def test_a_document_is_relevant_if_and_only_if_it_states_what_is_asked():
    recipe = Toy(docs=600, queries=200, false_negative_rate=0.4)
    data = recipe.load()
    queries, documents = concepts_said(recipe, data)
    assert all(len(query) == 3 for query in queries)
    stated = {(q, d) for q, query in enumerate(queries) for d, said in enumerate(documents) if query in said}
    assert stated == pairs(data.truth)


def test_confusers_miss_one_concept():
    recipe = Toy(docs=600, queries=200, false_negative_rate=0.3)
    data = recipe.load()
    queries, documents = concepts_said(recipe, data)
    for query, doc in neighbours(data) - pairs(data.truth):
        assert max(len(queries[query] & said) for said in documents[doc]) == 2


@pytest.mark.parametrize(("lexical_share", "least", "most"), [(1.0, 2, 2.5), (0.0, 0, 0.5)])
def test_lexical_confusers_share_words_and_semantic_ones_do_not(lexical_share, least, most):
    data = Toy(docs=4000, lexical_share=lexical_share, synonyms=4).load()  # one statement a document
    texts = [set(text.split()) for text in data.corpus.texts.to_pylist()]
    words, counts = np.unique([word for text in texts for word in text], return_counts=True)
    glue = set(words[counts > len(texts) / 10].tolist())
    asked = [set(text.split()) - glue for text in data.queries.texts.to_pylist()]
    shared = [len(asked[query] & texts[doc]) for query, doc in neighbours(data)]
    assert least <= np.mean(shared) <= most


def test_turning_the_dial_leaves_the_queries_as_they_are():
    low, high = Toy().load(), Toy(false_negative_rate=0.6).load()
    assert low.queries.fingerprint == high.queries.fingerprint
    assert low.split("test").query_rows.tolist() == high.split("test").query_rows.tolist()
    assert low.corpus.fingerprint != high.corpus.fingerprint


def test_documents_are_equally_long_in_statements_whatever_the_dial():
    for rate in (0.0, 0.6):
        counts = {text.count(" . ") for text in Toy(false_negative_rate=rate).load().corpus.texts.to_pylist()}
        assert counts == {1}


def test_equal_arguments_equal_world_and_no_global_state():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = Toy(seed=5).load(), Toy(seed=5).load(), Toy(seed=6).load()
    assert everything(first) == everything(again)
    assert everything(first) != everything(other)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_same_world_whatever_the_hash_seed():
    script = (
        "from hardneg.data.toy import Toy; d = Toy(docs=100, queries=40, false_negative_rate=0.3).load(); "
        "print(d.corpus.fingerprint, d.queries.fingerprint, d.truth.docs.tolist())"
    )
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"  # than this process has
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
    )
    d = Toy(docs=100, queries=40, false_negative_rate=0.3).load()
    assert done.stdout == f"{d.corpus.fingerprint} {d.queries.fingerprint} {d.truth.docs.tolist()}\n"


def test_edges_of_the_sizes():
    alone = Toy(docs=1, queries=1, neighbours=0).load()
    assert len(alone.truth) == 1 and len(alone.given[0]) == 0
    no_test = Toy(queries=10, dev_share=0.0, test_share=0.0).load()
    assert len(no_test.split("test")) == 0 and len(no_test.split("train")) == 10
    assert len(Toy(docs=50, queries=3).load().corpus) == 50


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("false_negative_rate", 0.7),
        ("false_negative_rate", -0.1),
        ("docs", 5),
        ("queries", 0),
        ("queries", 10_000),
        ("seed", -1),
        ("synonyms", 1),
        ("positives", 0),
        ("neighbours", -1),
        ("test_share", 0.95),
        ("lexical_share", 1.5),
        ("names", 40_000),
    ],
)
def test_bad_numbers_name_their_key(key, value):
    with pytest.raises(ConfigError, match=rf"data\.{key}"):
        Toy(**{key: value})


def test_a_world_too_small_for_its_confusers_says_so():
    with pytest.raises(ConfigError, match=r"data\.names"):
        for seed in range(30):
            Toy(names=2, attributes=30, queries=30, docs=300, lexical_share=0.0, seed=seed).load()


@pytest.mark.parametrize("name", ["toy", "pydocs"])
def test_config_lists_every_argument_with_its_default(name):
    recipe = {"toy": Toy, "pydocs": PyDocs}[name]
    config = OmegaConf.to_container(OmegaConf.load(CONF / "data" / f"{name}.yaml"))
    assert config.pop("_target_") == f"{recipe.__module__}.{recipe.__qualname__}"
    fields = recipe.__dataclass_fields__
    assert list(config) == list(fields)
    plain = {key: list(f.default) if isinstance(f.default, tuple) else f.default for key, f in fields.items()}
    assert {key for key in config if config[key] != plain[key]} <= {"cache"}
