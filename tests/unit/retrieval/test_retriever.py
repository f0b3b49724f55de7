"""Ranking a corpus: embedding in parts, exact search and rows in their places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ready import mix

from hardneg.data.tokens import TokenTable, token_tables
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.retrieval import embed_tables, held_vectors
from hardneg.retrieval.embed_tables import autocast, embed_table
from hardneg.retrieval.held_vectors import HeldVectors
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.system import distributed


@pytest.fixture(scope="module")
def parts(toy, tmp_path_factory):
    recipe = Static(dim=16, separate=True)
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).train()
    cache = tmp_path_factory.mktemp("tokens")
    queries = TokenTable.build(toy.queries, tokenizer, recipe.query, cache, "queries")
    docs = TokenTable.build(toy.corpus, tokenizer, recipe.document, cache, "documents")
    return towers, queries, docs


@pytest.mark.parametrize("budget", [1, 300, 16_384])
def test_a_table_is_embedded_row_by_row_whatever_the_parts(budget, parts, monkeypatch):
    monkeypatch.setattr(embed_tables, "budget", lambda *_: budget)
    towers, _, docs = parts
    rows = np.array([5, 3, 77, 5])
    expected = towers(docs.batch(rows), DOCUMENT).detach()
    found = embed_table(towers, docs, DOCUMENT, "32-true", "x", rows)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(embed_table(towers, docs, DOCUMENT, "32-true", "x")[rows], expected)
    assert towers.tower(DOCUMENT).training and not found.requires_grad, "the tower is left as it was found"


def test_runs_rank_the_whole_corpus_for_each_split(parts, toy):
    towers, queries, docs = parts
    found = Retriever(toy, queries, docs, "32-true").runs(towers, ["dev", "test"], 7)
    for split, run in found.items():
        assert run.queries.tolist() == toy.split(split).query_rows.tolist()
        q = towers(queries.batch(run.queries), QUERY).detach().double().numpy()
        d = towers(docs.batch(np.arange(len(docs))), DOCUMENT).detach().double().numpy()
        best = np.sort(q @ d.T, axis=1)[:, ::-1][:, :7]
        np.testing.assert_allclose(run.scores, best, atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(q @ d.T, run.ids, axis=1), run.scores, atol=1e-5)


def test_ranks_with_shares_of_different_size_hold_their_vectors_together_or_not_at_all(parts, toy, monkeypatch):
    """Else one would embed again, and wait for the others."""
    towers, queries, docs = parts
    ranks = next(n for n in range(2, 9) if len(docs) % n)
    smallest = len(docs) - -(-len(docs) // ranks) * (ranks - 1)
    monkeypatch.setattr(held_vectors, "HELD_BYTES", smallest * towers.dim * 4)
    monkeypatch.setattr(distributed, "world_size", lambda: ranks)
    passes = []
    embedded = Retriever._embedded
    monkeypatch.setattr(Retriever, "_embedded", lambda *a, **k: passes.append(a) or embedded(*a, **k))
    for rank in (0, ranks - 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        one = Retriever(toy, queries, docs, "32-true", held=HeldVectors())
        for _ in range(2):
            list(one._documents(towers, None))
    assert len(passes) == 4, "the smaller share alone would fit"


def test_what_is_seen_is_left_out_and_the_ranking_is_as_deep_as_before(parts, toy):
    towers, queries, docs = parts
    whole = Retriever(toy, queries, docs, "32-true").runs(towers, ["train"], 120)["train"]
    known = seen(toy, "train")
    left = Retriever(toy, queries, docs, "32-true", known).runs(towers, ["train"], 7)["train"]
    for query, all_ids, ids in zip(whole.queries.tolist(), whole.ids, left.ids, strict=True):
        assert ids.tolist() == [doc for doc in all_ids.tolist() if doc not in known[query]][:7]
    assert seen(toy, None) is None


def test_of_several_sets_each_query_ranks_its_own(parts, toy, tmp_path):
    towers, _, _ = parts
    data = mix(one=toy, two=toy).load()
    tokenizer = Static(dim=16, separate=True).tokenizer(toy.corpus)
    queries, docs = token_tables(data, tokenizer, Static().query, Static().document, tmp_path)
    run = Retriever(data, queries, docs, "32-true").runs(towers, ["test"], 500)["test"]
    alone = Retriever(toy, parts[1], parts[2], "32-true").runs(towers, ["test"], 500)["test"]
    half = len(alone.ids)
    np.testing.assert_array_equal(run.ids[:half], alone.ids)
    np.testing.assert_array_equal(run.ids[half:], alone.ids + len(toy.corpus))
    np.testing.assert_array_equal(run.scores[half:], alone.scores)


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16), ("32-true", None), ("bf16-true", None), ("32", None)],
)
def test_autocast_is_what_the_precision_says(precision, kind):
    with autocast(precision, torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu") is (kind is not None)
        assert kind is None or torch.get_autocast_dtype("cpu") == kind
