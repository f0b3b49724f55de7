"""Exact search against numpy, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.retrieval import search


@pytest.mark.parametrize(("queries", "docs"), [(1, 1), (3, 7), (4, 10), (1024, 32_768)])
@pytest.mark.parametrize("k", [1, 5, 23, 100])
def test_it_finds_what_brute_force_finds(queries, docs, k, monkeypatch):
    monkeypatch.setattr(search, "QUERIES", queries)
    monkeypatch.setattr(search, "DOCS", docs)
    rng = torch.Generator().manual_seed(0)
    q, d = torch.randn(9, 16, generator=rng), torch.randn(23, 16, generator=rng)
    scores, rows = search.exact(q, [d[:6], d[6:]], k)
    whole = q.double().numpy() @ d.double().numpy().T
    expected = np.argsort(-whole, axis=1)[:, :k]
    assert rows.tolist() == expected.tolist() and rows.shape == (9, min(k, 23))
    np.testing.assert_allclose(scores, np.take_along_axis(whole, expected, axis=1), rtol=1e-5, atol=1e-6)


def test_ties_give_each_document_once(monkeypatch):
    monkeypatch.setattr(search, "DOCS", 3)
    _, rows = search.exact(torch.ones(2, 4), [torch.ones(10, 4)], 10)
    assert all(sorted(found) == list(range(10)) for found in rows.tolist())


def test_it_keeps_no_graph():
    scores, _ = search.exact(torch.ones(2, 4, requires_grad=True), [torch.ones(3, 4)], 2)
    assert not scores.requires_grad
