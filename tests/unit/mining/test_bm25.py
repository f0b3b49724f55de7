"""BM25 against its formula, and the queries and corpora at the edge."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from hardneg.data.tables import Texts
from hardneg.errors import ConfigError
from hardneg.mining.bm25 import BM25

DOCS = [
    "red apple red pear",
    "green apple",
    "blue sea and green sea and blue sky",
    "pear tree green tree apple tree",
    "nothing here",
    "red",
]
QUERIES = ["red apple", "green sea tree", "apple apple pear", "sky"]


def corpus(texts):
    return Texts.of([f"d{i}" for i in range(len(texts))], texts)


def formula(query, docs, k1, b):
    """Lucene's Okapi BM25, word by word."""
    split = [doc.split() for doc in docs]
    mean = sum(map(len, split)) / len(split)
    scores = np.zeros(len(docs))
    for word in query.split():
        n = sum(word in doc for doc in split)
        idf = math.log(1 + (len(docs) - n + 0.5) / (n + 0.5))
        for i, doc in enumerate(split):
            tf = Counter(doc)[word]
            scores[i] += idf * tf / (tf + k1 * (1 - b + b * len(doc) / mean))
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0)])
def test_it_is_the_formula(k1, b):
    found = BM25(k1=k1, b=b, language=None, stopwords=None).mine(QUERIES, corpus(DOCS), len(DOCS))
    for query, ids, scores in zip(QUERIES, found.ids, found.scores, strict=True):
        expected = formula(query, DOCS, k1, b)
        kept = ids >= 0
        assert set(ids[kept].tolist()) == set(np.flatnonzero(expected > 0).tolist())
        np.testing.assert_allclose(scores[kept], expected[ids[kept]], rtol=1e-5)
        assert (np.diff(scores[kept]) <= 0).all(), "best first"


def test_documents_without_a_word_of_the_query_are_left_out():
    found = BM25().mine(["sky"], corpus(DOCS), 4)
    assert found.ids.tolist() == [[2, -1, -1, -1]]
    assert np.isneginf(found.scores[0, 1:]).all() and found.scores[0, 0] > 0


@pytest.mark.parametrize("query", ["", "the", "zzz", "zzz qqq"])
def test_a_query_without_a_known_word_finds_nothing_and_disturbs_no_other(query):
    found = BM25().mine(["red", query, "sky"], corpus(DOCS), 3)
    assert found.ids[1].tolist() == [-1, -1, -1] and np.isneginf(found.scores[1]).all()
    np.testing.assert_array_equal(found.ids[[0, 2]], BM25().mine(["red", "sky"], corpus(DOCS), 3).ids)


def test_no_query_with_a_known_word_at_all():
    assert (BM25().mine(["zzz"], corpus(DOCS), 2).ids == -1).all()


def test_asking_for_more_than_the_corpus_pads():
    found = BM25().mine(["red apple pear"], corpus(DOCS), 9)
    assert found.ids.shape == found.scores.shape == (1, 9)
    assert sorted(found.ids[0][found.ids[0] >= 0].tolist()) == [0, 1, 3, 5]


def test_the_stemmer_and_stop_words_follow_the_language():
    texts = corpus(["he runs", "la corsa", "the dog"])
    assert BM25().mine(["running"], texts, 1).ids.tolist() == [[0]]
    assert BM25(language=None).mine(["running"], texts, 1).ids.tolist() == [[-1]]
    assert BM25(stopwords=None).mine(["the"], texts, 1).ids.tolist() == [[2]]


def test_parameters_are_part_of_its_identity():
    names = [repr(miner.identity()) for miner in (BM25(), BM25(k1=1.3), BM25(b=0.7), BM25(language=None))]
    assert len(set(names)) == 4


@pytest.mark.parametrize("wrong", [{"k1": -1.0}, {"b": 1.5}, {"language": "klingon"}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError, match="BM25"):
        BM25(**wrong)
