"""Exact search against numpy, whatever the blocks; what faiss cannot do is refused in words that say what can."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.retrieval import exact_search, search
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.retrieval.exact_search import exact


@pytest.mark.parametrize(("queries", "docs"), [(1, 1), (3, 7), (4, 10), (1024, 32_768)])
@pytest.mark.parametrize("k", [1, 5, 23, 100])
def test_it_finds_what_brute_force_finds(queries, docs, k, monkeypatch):
    monkeypatch.setattr(exact_search, "QUERIES", queries)
    monkeypatch.setattr(exact_search, "DOCS", docs)
    rng = torch.Generator().manual_seed(0)
    q, d = torch.randn(9, 16, generator=rng), torch.randn(23, 16, generator=rng)
    scores, rows = exact(q, [d[:6], d[6:]], k)
    whole = q.double().numpy() @ d.double().numpy().T
    expected = np.argsort(-whole, axis=1)[:, :k]
    assert rows.tolist() == expected.tolist() and rows.shape == (9, min(k, 23))
    np.testing.assert_allclose(scores, np.take_along_axis(whole, expected, axis=1), rtol=1e-5, atol=1e-6)


def test_ties_give_each_document_once(monkeypatch):
    monkeypatch.setattr(exact_search, "DOCS", 3)
    _, rows = exact(torch.ones(2, 4), [torch.ones(10, 4)], 10)
    assert all(sorted(found) == list(range(10)) for found in rows.tolist())


def test_it_keeps_no_graph():
    scores, _ = exact(torch.ones(2, 4, requires_grad=True), [torch.ones(3, 4)], 2)
    assert not scores.requires_grad


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("index", "documents", "says"),
    [
        ("IVF256,Flat", 120, r"IVF256,Flat' has 256 cells, .* from 256 documents or more; there are 120: .*IVF3,Flat"),
        ("OPQ4_8,IVF64,PQ4", 63, "has 64 cells, .* 63: take search=exact"),
        ("IVF4,Flatt", 120, "'IVF4,Flatt' is not a faiss index"),
    ],
)
def test_a_corpus_that_is_too_small_for_an_index_is_refused_before_it_is_embedded(index, documents, says):
    pytest.importorskip("faiss")
    with pytest.raises(ConfigError, match=says) as error:
        search.Faiss(index).check(documents, 16, CPU)
    assert str(error.value).startswith("search.index=")
    search.Faiss("IVF256,Flat").check(256, 16, CPU)
    search.Exact().check(1, 16, CPU)


def test_what_faiss_cannot_learn_is_refused_in_plain_words(tmp_path):
    pytest.importorskip("faiss")
    with pytest.raises(ConfigError, match=r"search.index='PQ4' cannot be trained on 120 documents .*search=exact"):
        search.Faiss("PQ4").over(blocks(tmp_path, 120), CPU)


def test_a_graph_on_a_gpu_is_refused(monkeypatch):
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    with pytest.raises(ConfigError, match=r"'HNSW32': faiss has no HNSW on GPUs; take search=exact, search=faiss_flat"):
        search.Faiss("HNSW32").check(1000, 16, torch.device("cuda"))
    search.Faiss("HNSW32").check(1000, 16, CPU)
    search.Faiss("Flat").check(1000, 16, torch.device("cuda"))


def blocks(folder, documents):
    vectors = torch.randn(documents, 16, generator=torch.Generator().manual_seed(0)).numpy()
    np.save(folder / "0.npy", vectors)
    return EmbeddingBlocks([folder / "0.npy"], np.arange(documents), 16)


@pytest.mark.parametrize("index", ["Flat", "HNSW32", "IVF3,Flat"])
def test_faiss_finds_what_exact_search_finds_in_a_small_corpus(index, tmp_path):
    pytest.importorskip("faiss")
    docs, q = blocks(tmp_path, 120), torch.randn(9, 16, generator=torch.Generator().manual_seed(1))
    _, found = search.Faiss(index).over(docs, CPU)(q, 5)
    _, expected = exact(q, docs, 5)
    assert found.tolist() == expected.tolist()


class Watched(EmbeddingBlocks):
    """Notes how many of its blocks somebody still holds when the next one is read."""

    held = 0

    def __iter__(self):
        read = []
        for _ in range(12):
            vectors = np.random.default_rng(len(read)).standard_normal((20, 16)).astype(np.float32)
            read.append(weakref.ref(vectors))
            yield torch.from_numpy(vectors)
            del vectors
            self.held = max(self.held, sum(one() is not None for one in read))


def test_a_sample_to_train_on_does_not_keep_the_corpus_in_memory(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(search, "SAMPLE", 60)
    docs = Watched([], np.arange(240), 16)
    search.Faiss("IVF2,Flat").over(docs, CPU)
    assert docs.held <= 2
