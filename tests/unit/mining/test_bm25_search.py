"""BM25's index and search against bm25s, whose numbers they are to be."""

from __future__ import annotations

import logging
import sys

import bm25s
import numpy as np
import pytest
import torch
from rank_texts import rank_texts

from hardneg.mining import bm25, bm25_search
from hardneg.mining.bm25 import BM25
from hardneg.mining.bm25_index import build_index
from hardneg.mining.bm25_search import by_numpy, engine_for, find

WORDS, DEPTH = 300, 20


@pytest.fixture(scope="module")
def documents():
    """Numbers as words, some in most documents, and many documents that are the same."""
    generator = np.random.default_rng(0)
    found = [np.minimum(generator.zipf(1.3, size=n), WORDS - 1).tolist() for n in generator.integers(1, 12, 1500)]
    return [[WORDS - 1, 0], *found, *found[:300]]


@pytest.fixture(scope="module")
def reference(documents):
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index((documents, {str(word): word for word in range(WORDS)}), create_empty_token=False, show_progress=False)
    return index


@pytest.fixture(scope="module")
def index(documents):
    return build_index([documents[:7], documents[7:900], documents[900:]], 1.2, 0.75)


@pytest.fixture
def queries():
    generator = np.random.default_rng(1)
    return [generator.integers(0, 40, size=n).tolist() for n in generator.integers(0, 6, 150)]


@pytest.fixture(params=["numpy", "numba"])
def engine(request):
    if request.param == "numpy":
        return by_numpy
    pytest.importorskip("numba")
    from hardneg.mining.bm25_numba import by_numba

    return by_numba


def expected(reference, query):
    """All scores, and the best documents in the order of scores and then of documents."""
    scores = reference.get_scores_from_ids(query) if query else np.zeros(reference.scores["num_docs"], np.float32)
    order = np.argsort(-scores, kind="stable")
    return scores, order[scores[order] > 0][:DEPTH]


def test_the_index_is_the_librarys_to_the_last_bit(index, reference):
    np.testing.assert_array_equal(index.scores, reference.scores["data"])
    np.testing.assert_array_equal(index.docs, reference.scores["indices"])
    np.testing.assert_array_equal(index.starts, reference.scores["indptr"])
    assert index.size == reference.scores["num_docs"]


def test_hits_are_the_librarys_best_and_equal_ones_are_in_the_order_of_the_corpus(index, reference, queries, engine):
    positives = np.random.default_rng(2).integers(-1, index.size, (len(queries), 3)).astype(np.int32)
    found = find(index, queries, positives, DEPTH, engine)
    for row, query in enumerate(queries):
        scores, best = expected(reference, query)
        assert found.ids[row].tolist() == best.tolist() + [-1] * (DEPTH - len(best))
        np.testing.assert_array_equal(found.scores[row, : len(best)], scores[best])
        assert np.isneginf(found.scores[row, len(best) :]).all()
        known = positives[row] >= 0
        np.testing.assert_array_equal(found.positives[row, known], scores[positives[row, known]])
        assert np.isnan(found.positives[row, ~known]).all()


def test_as_many_as_there_are_and_more(index, reference, engine):
    found = find(index, [[1, 2]], np.full((1, 1), -1, np.int32), index.size + 5, engine)
    scores, _ = expected(reference, [1, 2])
    assert (found.ids >= 0).sum() == (scores > 0).sum()
    assert not find(index, [[1]], np.full((1, 1), -1, np.int32), 0, engine).ids.size


def test_no_document_at_all(engine):
    empty = build_index([], 1.2, 0.75)
    assert find(empty, [[0], []], np.full((2, 1), -1, np.int32), 3, engine).ids.tolist() == [[-1] * 3] * 2


def test_threads_change_nothing(index, queries, engine, monkeypatch):
    none = np.full((len(queries), 1), -1, np.int32)
    one, three = (
        (monkeypatch.setattr(torch, "get_num_threads", lambda n=n: n), find(index, queries, none, DEPTH, engine))[1]
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one.ids, three.ids)
    np.testing.assert_array_equal(one.scores, three.scores)


def test_a_search_that_fails_says_why(index, queries):
    def broken(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(index, queries, np.full((len(queries), 1), -1, np.int32), DEPTH, broken)


def test_many_documents_are_searched_by_compiled_code_where_it_is_installed(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert engine_for(bm25_search.COMPILED_FROM - 1) is by_numpy and not caplog.text
    monkeypatch.setitem(sys.modules, "hardneg.mining.bm25_numba", None)
    assert engine_for(bm25_search.COMPILED_FROM) is by_numpy
    assert "engine=numpy" in caplog.text and "pip install 'hardneg[bm25]'" in caplog.text
    monkeypatch.undo()
    pytest.importorskip("numba")
    assert engine_for(bm25_search.COMPILED_FROM).__name__ == "by_numba"
    assert "engine=numba" in caplog.text


def test_code_is_compiled_where_numba_has_no_place_to_keep_it(monkeypatch):
    """In a container whose packages and home folder cannot be written."""
    caching = pytest.importorskip("numba.core.caching")
    from hardneg.mining.bm25_numba import _compiled

    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert _compiled(lambda x: x + 1)(1) == 2


def test_blocks_of_documents_change_nothing(toy, monkeypatch):
    queries = toy.queries.take(range(20))
    whole = rank_texts(BM25(), queries, toy.corpus, 10)
    monkeypatch.setattr(bm25, "BLOCK", 7)
    parts = rank_texts(BM25(), queries, toy.corpus, 10)
    np.testing.assert_array_equal(whole.ids, parts.ids)
    np.testing.assert_array_equal(whole.scores, parts.scores)
