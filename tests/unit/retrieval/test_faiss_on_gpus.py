"""Where a faiss index lies on machines with GPUs: never one copy for each rank on every GPU."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hardneg.retrieval import search
from hardneg.retrieval.embedding_blocks import Blocks
from hardneg.retrieval.search import Faiss
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


@pytest.mark.parametrize(
    ("gpus", "ranks", "expected"),
    [(1, 1, [12]), (4, 1, [3, 3, 3, 3]), (2, 2, [12, 12])],
    ids=["one GPU", "alone: shards", "a rank a GPU"],
)
def test_no_gpu_holds_more_than_one_copy(gpus, ranks, expected, monkeypatch, tmp_path):
    faiss = GpuFaiss(gpus)
    monkeypatch.setattr(search, "load_faiss", lambda: faiss)
    monkeypatch.setattr(distributed, "active", lambda: ranks > 1)
    whole, q = torch.randn(12, 4), torch.randn(3, 4)
    for name, block in (("0.npy", whole[:8]), ("1.npy", whole[8:])):
        np.save(tmp_path / name, block.numpy())
    documents = Blocks([tmp_path / "0.npy", tmp_path / "1.npy"], np.arange(12), 4)
    for rank in range(ranks):
        searcher = Faiss("Flat").over(documents, torch.device("cuda", rank))
        scores, places = searcher(q, 5)
        best = (q @ whole.T).topk(5)
        assert torch.equal(places, best.indices)
        torch.testing.assert_close(scores, best.values)
    assert list(faiss.held.values()) == expected
