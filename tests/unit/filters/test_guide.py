"""The guide by hand, by GIST's formula and by sentence-transformers' code, in every role that a column can have."""

from __future__ import annotations

import pytest
import torch
from other_vectors import Vectors
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.filters.guide import Guide
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.embedded import Embedded
from hardneg.matrix.other_encoder import similarities
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.testing.synthetic import make_batch, make_candidates, random_units

B, G = 5, 3  # queries, and documents of each: the positive and two negatives
NONE = torch.full((1, 1), -1)
NAN = torch.nan


class Model(list):
    """Modules, of which sentence-transformers looks at the first, and what is said of them."""


def guided(q, d, **settings):
    rule = Guide(**settings)
    rule.read(Vectors(q, d.reshape(-1, d.shape[-1])))
    return rule


def at_cosines(*cosines):
    """One query, and documents that the guide places at these similarities."""
    return torch.tensor([[1.0, 0.0]]), torch.tensor([[cos, (1 - cos**2) ** 0.5] for cos in cosines])


def kept(rule, positives, cosines):
    scores = torch.rand(1, len(cosines))  # the model's own do not matter
    positive = torch.arange(len(cosines))[None] < positives
    return rule(make_candidates(scores, positive, query_ids=torch.tensor([0])), NONE)[0, positives:].tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [False, True, True, True]),
        ({"margin": 0.2}, [False, False, False, True]),
        ({"margin": -0.15}, [True, True, True, True]),
        ({"margin_strategy": "relative", "margin": 0.2}, [False, False, True, True]),
    ],
)
def test_the_margins_by_hand(settings, expected):
    """The positive is at 0.8: thresholds 0.8, 0.6, 0.95 and 0.64."""
    cosines = (0.8, 0.9, 0.75, 0.62, 0.1)
    assert kept(guided(*at_cosines(*cosines), **settings), 1, cosines) == expected


def test_a_relative_margin_lowers_the_threshold_of_a_negative_similarity_too():
    cosines = (-0.5, -0.52, -0.6)
    assert kept(guided(*at_cosines(*cosines), margin_strategy="relative", margin=0.1), 1, cosines) == [False, True]


@pytest.mark.parametrize(("which", "expected"), [("min", [False, True]), ("mean", [True, True]), ("max", [True, True])])
def test_of_several_positives(which, expected):
    cosines = (0.4, 0.8, 0.5, 0.3)
    assert kept(guided(*at_cosines(*cosines), positive=which), 2, cosines) == expected


def test_what_it_has_not_embedded_is_kept_and_so_is_the_row_of_an_unknown_positive():
    q, d = at_cosines(0.5, 0.9, 0.1)
    rule = guided(q, d.clone().index_fill(0, torch.tensor([1]), NAN))
    assert kept(rule, 1, (0.5, 0.9, 0.1)) == [True, True]
    rule = guided(q, d.clone().index_fill(0, torch.tensor([0]), NAN))
    assert kept(rule, 1, (0.5, 0.9, 0.1)) == [True, True]


def step(*sources, d_rows=G):
    """A step's candidates, and the guide's vectors, in which some negatives are nearer than their positives."""
    q, d = random_units(B, 8), random_units(B, d_rows, 8, seed=1)
    of_guide = random_units(B, 6, seed=2).detach(), random_units(B, d_rows, 6, seed=3).detach()
    batch = make_batch(torch.arange(B * d_rows).reshape(B, d_rows))
    made = {"in_batch": InBatch(), "blocks": Blocks(["query_query", "document_document"])}
    columns = {name: made[name](q, d, batch) for name in sources}
    return q, d, of_guide, Embedded(q, d, columns).candidates(batch, ("positive", "given", *sources)), batch


@pytest.mark.parametrize("settings", [{}, {"margin": 0.1}, {"margin_strategy": "relative", "margin": 0.3}])
def test_it_is_gist_written_out(settings):
    q, d, (gq, gd), c, batch = step("in_batch", "blocks")
    flat, flat_guide, firsts = d.flatten(0, 1), gd.flatten(0, 1), torch.arange(B) * G
    apart = torch.eye(B, dtype=torch.bool)
    scores = torch.cat([q @ flat.T, q @ q.T, d[:, 0] @ d[:, 0].T], dim=1)
    theirs = torch.cat([gq @ flat_guide.T, gq @ gq.T, gd[:, 0] @ gd[:, 0].T], dim=1)
    positive = (gq * gd[:, 0]).sum(dim=1, keepdim=True)
    relative = settings.get("margin_strategy") == "relative"
    threshold = positive - settings.get("margin", 0.0) * (positive.abs() if relative else 1)
    above = theirs > threshold
    above[torch.arange(B), firsts] = False
    above |= torch.cat([torch.zeros(B, B * G, dtype=torch.bool), apart, apart], dim=1)
    assert 0 < above.float().mean() < 1
    expected = F.cross_entropy(scores.masked_fill(above, -torch.inf) / 0.05, firsts)
    rule = guided(gq, gd, **settings)
    value = InfoNCE(0.05)(c.keep(rule(c, batch.positive_ids))).mean()
    torch.testing.assert_close(value, expected)
    for one, two in zip(*(torch.autograd.grad(x, [q, d]) for x in (value, expected)), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("settings", [{}, {"margin": 0.1}, {"margin_strategy": "relative", "margin": 0.3}])
@pytest.mark.parametrize("blocks", [True, False])
def test_it_is_that_of_sentence_transformers(settings, blocks):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models

    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"w": 0}, "w")))
    model = Model([torch.nn.Identity()])
    model.tokenizer, model.max_seq_length = tokenizer, 9
    theirs = losses.CachedGISTEmbedLoss(
        *(model, model, 0.05), contrast_anchors=blocks, contrast_positives=blocks, **settings
    )
    q, d, (gq, gd), c, batch = step("in_batch", *(["blocks"] if blocks else []))
    columns = [[[one] for one in (of_q, *of_d.unbind(dim=1))] for of_q, of_d in ((q, d), (gq, gd))]
    expected = theirs.calculate_loss(*columns)
    rule = guided(gq, gd, **settings)
    value = InfoNCE(0.05)(c.keep(rule(c, batch.positive_ids))).mean()
    torch.testing.assert_close(value, expected)
    # A cosine's gradient is ours where the vectors have a length to lose: on the sphere, not along the radius.
    for unit, one, two in zip((q, d), *(torch.autograd.grad(x, [q, d]) for x in (value, expected)), strict=True):
        torch.testing.assert_close(one - (one * unit).sum(-1, keepdim=True) * unit, two)


def test_a_queue_is_judged_by_the_ids_of_what_it_holds():
    """Embedded in an earlier step by the model; the guide's vector of the same document is what counts."""
    q, d, (gq, gd), *_ = step()
    queue = Queue(size=8)
    queue.update(d.detach(), make_batch(torch.arange(B * G).reshape(B, G)))
    later = make_batch([[0], [1]], query_ids=[0, 1])
    c = Embedded(q[:2], d[0, :2, None], {"queue": queue(q[:2], d[0, :2, None], later)}).candidates(
        later, ("positive", "queue")
    )
    found = guided(gq, gd)(c, later.positive_ids)
    flat = gd.flatten(0, 1)
    places = c.ids[0, 1:]
    assert (places >= 0).sum() == 8
    expected = gq[:2] @ flat[places].T <= (gq[:2] * flat[[0, 1]]).sum(dim=1, keepdim=True)
    assert torch.equal(found[:, 1:], expected) and 0 < expected.float().mean() < 1


def test_only_the_named_sources_are_judged():
    *_, (gq, gd), c, batch = step("in_batch", "blocks")
    every = guided(gq, gd)(c, batch.positive_ids)
    some = guided(gq, gd, sources=["in_batch"])(c, batch.positive_ids)
    of_batch = c.source == c.names.index("in_batch")
    assert torch.equal(some, every | ~of_batch) and not every[of_batch].all() and not every[~of_batch].all()


def test_long_lists_are_judged_a_block_of_rows_at_a_time(monkeypatch):
    _, _, (gq, gd), c, _ = step("in_batch")
    vectors = Vectors(gq, gd.reshape(-1, gd.shape[-1]))
    before = similarities(vectors, c)
    monkeypatch.setattr("hardneg.matrix.other_encoder.AT_ONCE", 40)
    torch.testing.assert_close(similarities(vectors, c), before)


def test_its_identity_is_that_of_its_weights():
    rule = guided(*at_cosines(0.5), margin=0.2, encoder=object(), at="both")
    assert rule.identity() == {
        "filter": "Guide",
        "margin_strategy": "absolute",
        "margin": 0.2,
        "positive": "min",
        "only": None,
        "guide": {"weights": "these"},
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"margin_strategy": "share"}, "margin_strategy must be one of absolute, relative"),
        ({"margin_strategy": "relative", "margin": 1.0}, "a relative margin is a share"),
        ({"positive": "first"}, "positive must be one of"),
        ({"sources": "in_batch"}, r"write \[in_batch\]"),
        ({"sources": []}, "judges nothing"),
        ({"sources": ["bm25"], "at": "both"}, "at=both: leave it out, or take at=live"),
    ],
)
def test_what_it_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Guide(**settings)
