"""Matryoshka: the losses at every width, against sums written out and against sentence-transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hardneg.encoders.static import Static
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.losses.gor import GOR
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.embedded import Embedded
from hardneg.matrix.reverse import all_queries
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.retrieval.retriever import Retriever
from hardneg.testing.synthetic import make_batch, make_model
from hardneg.training.base import Objective
from hardneg.training.module import DualEncoder
from hardneg.training.schedule import Schedule

IDS = torch.arange(10).reshape(5, 2)


class FixedTowers(Towers):
    """Stands in for towers: the embeddings are the parameters."""

    dim = 8

    def __init__(self, widths, normalize=True):
        nn.Module.__init__(self)
        made = torch.randn(15, 8, generator=torch.Generator().manual_seed(0))
        self.emb = nn.Parameter(F.normalize(made, dim=-1) if normalize else made)
        self.widths, self.normalize = Static(dim=8, matryoshka=widths).widths(8), normalize

    def both(self, queries, docs):
        emb = F.normalize(self.emb, dim=-1) if self.normalize else self.emb
        return emb[:5], emb[5:]


class Counted(Queue):
    """A queue that counts how often it is asked."""

    asked = 0

    def forward(self, q, d, batch):
        self.asked += 1
        return super().forward(q, d, batch)


class Seen(CandidateFilter):
    """Keeps all and remembers what it was shown."""

    def __init__(self):
        super().__init__("live")
        self.scores = []

    def __call__(self, c, positive_ids):
        self.scores.append(c.scores)
        return torch.ones_like(c.valid)


def module(towers, sources=None, losses=None, filters=None):
    sources = sources or {"in_batch": InBatch()}
    losses = losses or {"infonce": InfoNCE()}
    names = ("positive", "drawn", *sources)
    made = DualEncoder(
        towers, sources, Objective(filters or {}, losses, names, torch.optim.SGD, Schedule(), seed=0), card={}
    )
    made.log_step = lambda *_: None  # there is no trainer
    return made


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("widths", "weights"), [([2, 4], {2: 1, 4: 1, 8: 1}), ({2: 0.5, 8: 2.0}, {2: 0.5, 8: 2.0}), (None, {8: 1})]
)
def test_the_loss_is_the_sum_over_the_widths_written_out(widths, weights, normalize):
    towers = FixedTowers(widths, normalize)
    total = module(towers, losses={"infonce": InfoNCE(symmetric=True)}).training_step(make_batch(IDS), 0)
    expected = torch.zeros(())
    for width, weight in weights.items():
        emb = towers.emb[:, :width]
        q, d = (F.normalize(emb, dim=-1) if normalize else emb).split([5, 10])
        here = torch.arange(5)
        there = F.cross_entropy(q @ d.T / 0.05, 2 * here), F.cross_entropy(d[::2] @ q.T / 0.05, here)
        expected = expected + weight * sum(there) / 2
    torch.testing.assert_close(total, expected)


def test_it_is_the_loss_of_sentence_transformers():
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")

    class Model(nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["rows"] + 0.0}

        def get_embedding_dimension(self):
            return 8

    towers, model = FixedTowers({2: 0.5, 4: 1.0, 8: 2.0}), Model()
    inner = losses.MultipleNegativesRankingLoss(model)
    theirs = losses.MatryoshkaLoss(model, inner, [8, 4, 2], [2.0, 1.0, 0.5])
    columns = [{"rows": towers.emb[:5]}, {"rows": towers.emb[5::2]}, {"rows": towers.emb[6::2]}]
    ours = module(towers).training_step(make_batch(IDS), 0)
    expected = theirs(columns, None)
    torch.testing.assert_close(ours, expected)
    one, two = (torch.autograd.grad(value, towers.emb)[0] for value in (ours, expected))
    torch.testing.assert_close(one, two)


def test_a_loss_over_vectors_is_added_at_every_width():
    towers = FixedTowers({2: 0.5, 8: 2.0})
    alone = module(towers).training_step(make_batch(IDS), 0)
    both = module(towers, losses={"infonce": InfoNCE(), "gor": GOR(weight=3.0)}).training_step(make_batch(IDS), 0)
    q, d = F.normalize(towers.emb, dim=-1).split([5, 10])
    e = Embedded(q, d.reshape(5, 2, 8), {})
    expected = 0.5 * GOR()(e.cut(2, True), make_batch(IDS)) + 2 * GOR()(e, make_batch(IDS))
    assert expected > 0
    torch.testing.assert_close(both, alone + 3 * expected)


def test_sources_are_asked_and_filters_judge_once_at_full_width():
    queue, seen = Counted(6), Seen()
    towers = FixedTowers([2, 4])
    made = module(towers, {"in_batch": InBatch(), "queue": queue}, filters={"seen": seen})
    for step in range(2):
        made.training_step(make_batch(IDS + 100 * step), 0)
    assert queue.asked == 2 and queue.emb.shape == (6, 8)
    assert len(seen.scores) == 2
    torch.testing.assert_close(seen.scores[1][:, 2:12], towers.emb[:5] @ towers.emb[5:].T)


def test_scores_alone_are_those_of_the_candidates_in_both_directions():
    q, d = torch.randn(5, 8), torch.randn(5, 2, 8)
    batch, names = make_batch(IDS, positives=2), ("positive", "drawn", "in_batch", "blocks")
    columns = {"in_batch": InBatch()(q, d, batch), "blocks": Blocks()(q, d, batch)}
    full = Embedded(q, d, columns, all_queries(q, batch))
    narrow = full.cut(3, True)
    expected, again = narrow.candidates(batch, names), narrow.score_again(full.candidates(batch, names))
    assert torch.equal(again.scores, expected.scores) and torch.equal(narrow.scores(), expected.scores)
    assert torch.equal(again.reverse.scores, expected.reverse.scores) and len(again.reverse.scores) == 10
    assert torch.equal(again.valid, expected.valid) and torch.equal(again.reverse.valid, expected.reverse.valid)


def test_what_is_filtered_counts_at_no_width():
    class DropAll(CandidateFilter):
        def __call__(self, c, positive_ids):
            return torch.zeros_like(c.valid)

    total = module(FixedTowers([2]), filters={"drop": DropAll("live")}).training_step(make_batch(IDS), 0)
    assert total.item() == 0


def test_evaluation_at_a_width_ranks_by_cut_embeddings(toy, tmp_path):
    model = make_model(toy, tmp_path, matryoshka=[4])
    runs = Retriever(toy, model.queries, model.docs, "32-true").nested(model.towers, ["test"], 5)["test"]
    assert list(runs) == ["@4", ""]
    with torch.no_grad():
        q, d = (
            F.normalize(model.towers(table.batch(rows), side)[:, :4], dim=-1)
            for table, rows, side in (
                (model.queries, runs[""].queries, "query"),
                (model.docs, np.arange(len(model.docs)), "document"),
            )
        )
    torch.testing.assert_close(torch.from_numpy(runs["@4"].scores), (q @ d.T).topk(5).values)


@pytest.mark.parametrize(
    ("widths", "says"),
    [([64, 512], "at most 256"), ([0], "got 0"), (["x"], "got 'x'"), ({64: -1.0}, "weight of 64 must be positive")],
)
def test_widths_that_cannot_be_are_refused(widths, says):
    with pytest.raises(ConfigError, match=says):
        Static(matryoshka=widths)


def test_the_width_of_a_pretrained_encoder_is_held_against_it_once_it_is_loaded(bert, toy):
    from hardneg.encoders.transformer import Transformer

    recipe = Transformer(model=str(bert), matryoshka=[32])
    with pytest.raises(ConfigError, match="at most 16, the encoder's own, got 32"):
        Towers(recipe, recipe.build(recipe.tokenizer(toy.corpus)))
