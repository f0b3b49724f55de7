"""Where a faiss index lies on machines with GPUs: one index over all of them, of one process or of several ranks."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hardneg.retrieval import embedding_blocks, rank_shares, search
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.retrieval.rank_shares import search_share
from hardneg.retrieval.search import Exact, Faiss
from hardneg.system import distributed


class GpuFaiss:
    """What of faiss-gpu is called, with vectors counted by GPU; searching is numpy's."""

    METRIC_INNER_PRODUCT = 0

    def __init__(self, gpus):
        self.gpus, self.held = gpus, dict.fromkeys(range(gpus), 0)

    def get_num_gpus(self):
        return self.gpus

    def index_factory(self, dim, factory, metric):
        return SimpleNamespace(on="cpu")

    def try_extract_index_ivf(self, index):
        return None

    def try_downcast_index(self, index):
        return index

    def StandardGpuResources(self):
        return object()

    def GpuMultipleClonerOptions(self):
        return SimpleNamespace(shard=False)

    def index_cpu_to_gpu(self, resources, gpu, index):
        return Index(self, [gpu], shard=False)

    def index_cpu_to_all_gpus(self, index, co=None):
        return Index(self, list(range(self.gpus)), shard=co is not None and co.shard)

    def GpuParameterSpace(self):
        return SimpleNamespace(set_index_parameter=lambda *_: None)


class Index:
    is_trained = True

    def __init__(self, faiss, gpus, shard):
        self.faiss, self.gpus, self.shard, self.vectors = faiss, gpus, shard, []

    def add(self, vectors):
        self.vectors.append(vectors)
        for number, gpu in enumerate(self.gpus):
            part = range(number, len(vectors), len(self.gpus)) if self.shard else range(len(vectors))
            self.faiss.held[gpu] += len(part)

    def search(self, q, k):
        scores = q @ np.concatenate(self.vectors).T
        best = np.argsort(-scores, axis=1)[:, :k]
        return np.take_along_axis(scores, best, axis=1), best


@pytest.mark.parametrize(("gpus", "expected"), [(1, [12]), (4, [3, 3, 3, 3])], ids=["one GPU", "shards on all GPUs"])
def test_a_process_alone_has_one_index_over_all_gpus(gpus, expected, monkeypatch, tmp_path):
    faiss = GpuFaiss(gpus)
    monkeypatch.setattr(search, "load_faiss", lambda: faiss)
    documents, whole = twelve(tmp_path)
    q, cuda = torch.randn(3, 4), torch.device("cuda", 0)
    assert not Faiss("Flat").in_shares(cuda)
    scores, places = Faiss("Flat").over(documents, cuda)(q, 5)
    best = (q @ whole.T).topk(5)
    assert torch.equal(places, best.indices)
    torch.testing.assert_close(scores, best.values)
    assert list(faiss.held.values()) == expected


@pytest.mark.parametrize("gpus", [2, 4, 5], ids="{} ranks".format)
def test_ranks_have_one_index_over_their_gpus(gpus, monkeypatch, tmp_path):
    faiss = GpuFaiss(gpus)
    monkeypatch.setattr(search, "load_faiss", lambda: faiss)
    monkeypatch.setattr(distributed, "active", lambda: True)
    monkeypatch.setattr(distributed, "world_size", lambda: gpus)
    documents, whole = twelve(tmp_path)
    monkeypatch.setattr(embedding_blocks, "SIZE", 1)
    placed = []
    monkeypatch.setattr(rank_shares, "write_array", lambda path, found: placed.append(found))
    np.save(tmp_path / "q.npy", torch.randn(3, 4).numpy())
    queries = EmbeddingBlocks([tmp_path / "q.npy"], np.arange(3), 4)
    for rank in range(gpus):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)  # there is no GPU
        assert Faiss("Flat").in_shares(torch.device("cuda", rank))
        search_share(Faiss("Flat"), documents, queries, 5, torch.device("cuda", rank), tmp_path)
    assert sum(faiss.held.values()) == 12, "every document is on one GPU"
    assert max(faiss.held.values()) <= -(-12 // gpus)
    finds = np.concatenate(placed, axis=1)
    best = (next(iter(queries)) @ whole.T).topk(5)
    for row, found in enumerate(finds):
        assert set(best.indices[row].tolist()) <= set(found["position"].tolist())
        scores = np.sort(found["score"])[::-1][:5]
        np.testing.assert_allclose(scores, best.values[row], rtol=1e-5, atol=1e-6)


def test_ranks_without_gpus_have_a_whole_index_each(monkeypatch):
    monkeypatch.setattr(search, "load_faiss", lambda: GpuFaiss(0))
    monkeypatch.setattr(distributed, "active", lambda: True)
    assert not Faiss("Flat").in_shares(torch.device("cpu"))
    assert not Faiss("Flat").in_shares(torch.device("cuda", 0)), "faiss-cpu"
    assert Exact().in_shares(torch.device("cuda", 0)), "matrix products know no index: each rank reads its share"


def twelve(folder):
    """Twelve documents in two blocks."""
    whole = torch.randn(12, 4)
    for name, block in (("0.npy", whole[:8]), ("1.npy", whole[8:])):
        np.save(folder / name, block.numpy())
    return EmbeddingBlocks([folder / "0.npy", folder / "1.npy"], np.arange(12), 4), whole


@pytest.mark.parametrize(
    ("gpus", "kind", "cuda", "said"),
    [
        (0, "cpu", None, "faiss searches on the CPU"),
        (4, "cpu", "12.8", "faiss searches on the CPU"),
        (1, "cuda", "12.8", "faiss searches on GPU 0"),
        (4, "cuda", "12.8", "faiss searches on 4 GPUs, a share on each"),
        (0, "cuda", "12.8", "sees no GPU; pip uninstall faiss-cpu, then pip install 'hardneg[faiss-gpu]'"),
        (0, "cuda", "11.8", "then pip install faiss-gpu-cu11"),
        (0, "cuda", "13.0", "PyPI has no faiss for GPUs with CUDA 13.0: take search=exact"),
    ],
)
def test_a_line_says_where_faiss_searches_and_which_package_would_use_the_gpu(
    gpus, kind, cuda, said, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(search, "load_faiss", lambda: GpuFaiss(gpus))
    monkeypatch.setattr(torch.version, "cuda", cuda)
    documents, _ = twelve(tmp_path)
    with caplog.at_level("INFO", "hardneg.retrieval.search"), contextlib.suppress(AttributeError):
        Faiss("Flat").over(documents, torch.device(kind))  # the index of this faiss without GPUs is none
    (line,) = caplog.messages
    assert line.startswith("search.index=Flat: ") and said in line


def test_ranks_say_which_gpu_is_theirs(monkeypatch):
    monkeypatch.setattr(distributed, "active", lambda: True)
    assert search.where_faiss_searches(GpuFaiss(4), torch.device("cuda", 2)) == "faiss searches on GPU 2"
