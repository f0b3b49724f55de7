"""Telemetry by source, by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.losses.triplet import Triplet
from hardneg.matrix.telemetry import by_source, random_cosine
from hardneg.testing.synthetic import make_candidates

NAMES = ("positive", "bm25", "in_batch")


def test_every_number_of_a_source():
    scores = torch.tensor([[0.9, 0.5, 0.8, 0.1], [0.6, 0.7, 0.2, 0.0]])
    offered = make_candidates(scores, source=[[0, 1, 1, 2], [0, 1, 2, 2]], names=NAMES)
    kept = offered.keep(torch.tensor([[True, True, False, True], [True, True, True, True]]))
    found = by_source(offered, kept, [Triplet(margin=0.3, reduction="hardest", weight=2.0)])
    numbers = {key.removeprefix("negatives/"): value.item() for key, value in found.items()}
    assert numbers == pytest.approx(
        {
            "positives/similarity": (0.9 + 0.6) / 2,
            "bm25/count": 1.0,  # two kept of two queries
            "bm25/filtered": 0.5,
            "bm25/kept": 2 / 3,
            "bm25/margin": (0.4 - 0.1) / 2,
            "bm25/above_positive": 1 / 2,
            "bm25/similarity": (0.5 + 0.7) / 2,
            "bm25/loss": 2 * (0.0 + 0.4) / 2,
            "in_batch/count": 1.5,
            "in_batch/filtered": 0.0,
            "in_batch/kept": 1.0,
            "in_batch/margin": (0.8 + 0.4 + 0.6) / 3,
            "in_batch/above_positive": 0.0,
            "in_batch/similarity": (0.1 + 0.2 + 0.0) / 3,
            "in_batch/loss": 0.0,
        }
    )


def test_what_was_not_offered_is_nan_and_not_zero():
    c = make_candidates(torch.rand(2, 2), source=[[0, 1], [0, 1]], names=NAMES)
    found = by_source(c, c, [Triplet()])
    assert found["negatives/in_batch/count"] == 0
    assert found["negatives/in_batch/kept"].isnan() and found["negatives/in_batch/margin"].isnan()
    assert found["negatives/in_batch/loss"].isnan()


def test_it_keeps_no_graph():
    c = make_candidates(torch.rand(2, 3, requires_grad=True))
    assert not any(value.requires_grad for value in by_source(c, c, [Triplet()]).values())


def test_losses_by_source_add_up_where_the_loss_is_a_mean_of_one_source():
    c = make_candidates(torch.rand(3, 5))
    loss = Triplet(reduction="mean")
    torch.testing.assert_close(by_source(c, c, [loss, loss])["negatives/it/loss"], 2 * loss(c).mean())


def test_margins_are_measured_from_the_lowest_positive_and_padding_is_none():
    c = make_candidates(
        [[0.9, 0.7, 0.2], [0.6, -1.0, 0.5]],
        [[True, True, False], [True, False, False]],
        [[True, True, True], [True, False, True]],
        source=[[0, 0, 1], [0, 0, 1]],
        names=NAMES,
    )
    found = by_source(c, c, [Triplet()])
    assert found["negatives/bm25/margin"].item() == pytest.approx((0.5 + 0.1) / 2)
    assert found["negatives/bm25/count"].item() == 1.0


def test_the_similarity_of_positives_counts_every_shown_one():
    c = make_candidates([[0.9, 0.7, 0.2], [0.5, 9.0, 0.1]], [[True, True, False], [True, False, False]])
    found = by_source(c, c, [Triplet()])
    assert found["positives/similarity"].item() == pytest.approx((0.9 + 0.7 + 0.5) / 3)


def test_the_mean_cosine_of_random_pairs_is_that_of_all_pairs():
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    pairs = [torch.cosine_similarity(rows[i], rows[j], dim=0) for i in range(6) for j in range(6) if i != j]
    torch.testing.assert_close(random_cosine(rows), torch.stack(pairs).mean())
    assert random_cosine(torch.ones(3, 4)).item() == pytest.approx(1.0) and random_cosine(rows[:1]).isnan()
