"""What ranks find in shares of the documents, put together: against brute force and against one index over all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.retrieval import embedding_blocks
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.retrieval.rank_shares import nearest_in_shares, search_share
from hardneg.retrieval.search import Exact, Faiss
from hardneg.system import agreement, distributed

SIZE, CPU = 8, torch.device("cpu")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(embedding_blocks, "SIZE", SIZE)


def blocks(folder, name, vectors, rows=None):
    paths = []
    for start in range(0, len(vectors), SIZE):
        paths.append(folder / f"{name}-{start}.npy")
        np.save(paths[-1], vectors[start : start + SIZE])
    return EmbeddingBlocks(paths, np.arange(len(vectors)) if rows is None else rows, vectors.shape[1])


def ranks_one_after_the_other(monkeypatch, search, docs, queries, depth, ranks, folder):
    """What the last of some ranks reads, when the others have searched."""
    monkeypatch.setattr(distributed, "world_size", lambda: ranks)
    monkeypatch.setattr(agreement, "barrier", lambda: None)
    for rank in range(ranks):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        search_share(search, docs, queries, depth, CPU, folder)
    return nearest_in_shares(search, docs, queries, depth, CPU, folder)


def merged(found, k):
    """The K best finds, ties by position."""
    _, scores, positions = found
    order = np.lexsort((positions, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)


def whole_numbers(rows, seed):
    """Vectors whose inner products are exact, with many ties among them."""
    return np.random.default_rng(seed).integers(-1, 2, (rows, 3)).astype(np.float32)


def test_rows_of_many_files_come_in_the_order_asked_and_each_file_is_opened_once(tmp_path, monkeypatch):
    d = whole_numbers(29, seed=0)
    docs, opened, load = blocks(tmp_path, "d", d), [], np.load
    monkeypatch.setattr(np, "load", lambda path, **how: opened.append(path) or load(path, **how))
    asked = np.array([28, 3, 3, 17, 0, 28, 9, 1, 20, 2])
    np.testing.assert_array_equal(docs.take(asked), d[asked])
    assert sorted(opened) == sorted(docs.paths)
    np.testing.assert_array_equal(docs.take(asked[:0]), d[:0])


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("depth", [1, 5, 29, 40])
def test_the_best_of_all_shares_are_those_of_brute_force(ranks, depth, tmp_path, monkeypatch):
    d, q = whole_numbers(29, seed=0), whole_numbers(19, seed=1)
    rows = np.random.default_rng(2).permutation(100)[:19]  # queries lie in an order of our own
    docs, queries = blocks(tmp_path, "d", d), blocks(tmp_path, "q", q, rows)
    nearest = ranks_one_after_the_other(monkeypatch, Exact(), docs, queries, depth, ranks, tmp_path)
    asked = np.array([17, 0, 9, 18])
    found = nearest(rows[asked], depth)
    np.testing.assert_array_equal(found[0], q[asked])
    scores, positions = merged(found, depth)
    whole = q[asked] @ d.T
    np.testing.assert_array_equal(scores, -np.sort(-whole, axis=1)[:, :depth])
    np.testing.assert_array_equal(np.take_along_axis(whole, positions, axis=1), scores)
    assert all(len(set(row)) == min(depth, 29) for row in positions.tolist()), "a document comes twice"
    first = np.argsort(-whole, axis=1, kind="stable")[:, :depth]  # of those that are as good as the last
    np.testing.assert_array_equal(np.sort(found[2], axis=1), np.sort(first, axis=1))


class Padded(Exact):
    """Reaches only documents at even places, and fills its lists up as faiss does."""

    def over(self, docs, device):
        search = Exact.over(self, docs, device)

        def padded(q, k, tick):
            scores, places = search(q, len(docs), tick)
            odd = (places + docs.start) % 2 == 1
            scores = scores.masked_fill(odd, torch.finfo(torch.float32).min)
            scores, order = scores.sort(dim=1, descending=True)
            return scores[:, :k], places.masked_fill(odd, -1).gather(1, order)[:, :k]

        return padded


def test_what_a_share_fills_up_comes_last_and_names_no_document(tmp_path, monkeypatch):
    d, q = whole_numbers(13, seed=0), whole_numbers(5, seed=1)
    docs, queries = blocks(tmp_path, "d", d), blocks(tmp_path, "q", q)
    nearest = ranks_one_after_the_other(monkeypatch, Padded(), docs, queries, 10, 3, tmp_path)
    scores, positions = merged(nearest(np.arange(5), 10), 10)
    best = -np.sort(-(q @ d[::2].T), axis=1)
    np.testing.assert_array_equal(scores[:, :7], best)
    assert (positions[:, 7:] == -1).all()
    assert all(sorted(row) == list(range(0, 13, 2)) for row in positions[:, :7].tolist())


def test_more_ranks_than_documents(tmp_path, monkeypatch):
    docs, queries = blocks(tmp_path, "d", whole_numbers(2, seed=0)), blocks(tmp_path, "q", whole_numbers(3, seed=1))
    nearest = ranks_one_after_the_other(monkeypatch, Exact(), docs, queries, 5, 4, tmp_path)
    assert sorted(nearest(np.arange(3), 5)[2][0].tolist()) == [0, 1]


@pytest.mark.parametrize("index", ["Flat", "IVF4,Flat"])
def test_faiss_finds_in_shares_what_it_finds_in_one_index(index, tmp_path, monkeypatch):
    """Cells are learnt from all documents, so that shares visit those that one index would visit."""
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    d, q = (rng.standard_normal((rows, 16)).astype(np.float32) for rows in (200, 30))
    docs, queries = blocks(tmp_path, "d", d), blocks(tmp_path, "q", q)
    search = Faiss(index, nprobe=2)
    scores, positions = search.over(docs, CPU)(torch.from_numpy(q), 20)
    found = ranks_one_after_the_other(monkeypatch, search, docs, queries, 20, 3, tmp_path)(np.arange(30), 20)
    in_shares = merged(found, 20)
    np.testing.assert_allclose(in_shares[0], scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(in_shares[1], positions)


def test_what_was_searched_before_an_interruption_is_not_searched_again(tmp_path, monkeypatch):
    docs, queries = blocks(tmp_path, "d", whole_numbers(29, seed=0)), blocks(tmp_path, "q", whole_numbers(19, seed=1))
    before = ranks_one_after_the_other(monkeypatch, Exact(), docs, queries, 5, 2, tmp_path)(np.arange(19), 5)
    files = sorted(tmp_path.glob("nearest-*"))
    assert len(files) == 2 * 3
    files[4].unlink()
    times = [path.stat().st_mtime_ns for path in files if path != files[4]]
    again = ranks_one_after_the_other(monkeypatch, Exact(), docs, queries, 5, 2, tmp_path)(np.arange(19), 5)
    assert [path.stat().st_mtime_ns for path in files if path != files[4]] == times
    for one, other in zip(before, again, strict=True):
        np.testing.assert_array_equal(one, other)
