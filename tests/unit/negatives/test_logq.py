"""The logQ correction: what columns carry, by hand, and that it turns a sampled softmax into the full one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hardneg.data.parts import Part
from hardneg.data.training_set import TrainingSet
from hardneg.filters.known_positives import KnownPositives
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.triplet import Triplet
from hardneg.matrix.candidates import Candidates, Columns
from hardneg.matrix.sampled_columns import SampledColumns
from hardneg.negatives.base import Setting
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.testing.synthetic import make_batch, make_candidates, make_training, random_units

NAMES = ("positive", "drawn", "in_batch", "queue")


def prepared(source, training):
    source.prepare(Setting(training, {}, Path("unused")))
    return source


def test_popularity_is_the_share_of_rows_that_show_a_document():
    training = make_training([(0, 3), (0, 4), (1, 3), (2, 5)], docs=6)  # query 0 shows 3 and 4 in turn
    np.testing.assert_allclose(training.popularity(), [0, 0, 0, 0.5, 1 / 6, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(training.popularity(2), [0, 0, 0, 2 / 4, 1 / 4, 1 / 4], rtol=1e-6)  # 0 shows both
    parts = (Part("a", range(2), range(4)), Part("b", range(2, 3), range(4, 6)))
    mixed = make_training([(0, 2), (0, 3), (1, 3), (2, 5)], docs=6)
    mixed = TrainingSet(replace(mixed.data, mixed=parts))
    np.testing.assert_allclose(mixed.popularity(), [0, 0, 1 / 4, 3 / 4, 0, 1], rtol=1e-6)


def test_in_batch_expects_a_document_as_often_as_the_other_rows_show_it():
    source = prepared(InBatch(logq=True), make_training([(0, 3), (1, 3), (2, 5)], docs=9))
    batch = make_batch([[3, 7], [3, 8], [5, -1]])
    log_q = source(random_units(3, 4), random_units(3, 2, 4), batch).log_q
    others = 3 * (1 - 1 / 3)
    expected = [math.log(others * 2 / 3), math.nan, math.log(others * 2 / 3), math.nan, math.log(others / 3), math.nan]
    torch.testing.assert_close(log_q, torch.tensor(expected), equal_nan=True)


def test_a_queue_expects_a_document_as_the_chance_that_it_was_seen_at_all():
    source = prepared(Queue(6, logq=True), make_training([(0, 3), (1, 3), (2, 5)], docs=20))
    source.update(random_units(2, 2, 4).detach(), make_batch([[3, 8], [5, 9]]))
    log_q = source(random_units(1, 4), random_units(1, 1, 4), make_batch([[10]])).log_q
    expected = [math.log(1 - (1 / 3) ** 2), math.nan, math.log(1 - (2 / 3) ** 2), math.nan, math.nan, math.nan]
    torch.testing.assert_close(log_q, torch.tensor(expected), equal_nan=True)
    back = Queue(6, logq=True)
    back.load_state_dict(source.state_dict())
    assert torch.equal(back.sampled, source.sampled) and "popularity" not in source.state_dict()


@pytest.mark.parametrize("drawn", [0, 2])
def test_every_document_counts_once_in_the_long_run_however_popular(drawn):
    """The sum over all other documents that a row's columns estimate, one by one, over many steps of a run.

    By each source, and by both: of the same steps, which take longer than what is asked of them.
    """
    rng, docs, rows, steps = np.random.default_rng(0), 12, 6, 1200
    popularity = 1 / np.arange(1, docs + 1)
    popularity /= popularity.sum()
    sources = {"in_batch": InBatch(logq=True), "queue": Queue(24, logq=True)}
    for source in sources.values():
        source.popularity = torch.from_numpy(popularity.astype(np.float32))
    q, d = random_units(rows, 2), random_units(rows, 1 + drawn, 2).detach()
    seen, others = {kind: np.zeros(docs) for kind in (*sources, "both")}, np.zeros(docs)
    for step in range(-10, steps):  # until the queue is full
        positives = rng.choice(docs, (rows, 1), p=popularity)
        batch = make_batch(np.concatenate([positives, rng.integers(docs, size=(rows, drawn))], axis=1))
        if step >= 0:
            own, columns = Candidates.own(q, d, batch, NAMES), {name: sources[name](q, d, batch) for name in sources}
            found = {name: own.add(q, columns[name], name) for name in sources}
            found["both"] = found["in_batch"].add(q, columns["queue"], "queue")
            for kind, c in found.items():
                sampled = c.negative[0] & ~c.sampled.log_q[0].isnan()  # drawn negatives are beside the estimate
                np.add.at(seen[kind], c.ids[0, sampled].numpy(), (-c.sampled.log_q[0, sampled]).exp().numpy())
            others += ~np.isin(np.arange(docs), batch.doc_ids[0].numpy())
        sources["queue"].update(d, batch)
    for kind in seen:
        np.testing.assert_allclose(seen[kind] / others, 1, atol=0.2, err_msg=kind)


def test_every_document_counts_once_where_a_loss_leaves_drawn_negatives_out():
    """Those that were drawn for a row too, of which it then has sampled copies alone; and beside other drawn ones.

    In the columns of in_batch, and with those of a queue.
    """
    rng, docs, rows, steps = np.random.default_rng(0), 12, 6, 800
    labels = ("positive", "drawn", "other", "in_batch", "queue")
    popularity = 1 / np.arange(1, docs + 1)
    popularity /= popularity.sum()
    sources = {"in_batch": InBatch(hard=False, logq=True), "queue": Queue(24, hard=False, logq=True)}
    for source in sources.values():
        source.popularity = torch.from_numpy(popularity.astype(np.float32))
    q, d = random_units(rows, 2), random_units(rows, 3, 2).detach()
    both = ("in_batch", "queue")
    reads = {"sampled alone": (), "one of two": ("other",), "all": ("drawn", "other")}  # beside what is sampled
    asked = [(names, kind) for names in (both[:1], both) for kind in reads]
    seen, others = {one: np.zeros(docs) for one in asked}, {one: np.zeros(docs) for one in asked}
    for step in range(-10, steps):  # until the queue is full
        positives = rng.choice(docs, (rows, 1), p=popularity)
        ids = np.concatenate([positives, rng.integers(docs, size=(rows, 2))], axis=1)
        batch = replace(make_batch(ids), source=torch.tensor([[0, 1, 2]]).expand(rows, 3))
        if step >= 0:
            c = Candidates.own(q, d, batch, labels).add(q, sources["in_batch"](q, d, batch), "in_batch")
            found = {both[:1]: c, both: c.add(q, sources["queue"](q, d, batch), "queue")}
            for names, kind in asked:
                read_c = found[names].of_sources((*names, *reads[kind]))
                sampled = read_c.negative[0] & ~read_c.sampled.log_q[0].isnan()
                counted = (-read_c.sampled.log_q[0, sampled]).exp().numpy()
                np.add.at(seen[names, kind], read_c.ids[0, sampled].numpy(), counted)
                beside = {"sampled alone": [], "one of two": [2], "all": [1, 2]}[kind]
                others[names, kind] += ~np.isin(np.arange(docs), ids[0, [0, *beside]])
        sources["queue"].update(d, batch)
    for one in asked:
        np.testing.assert_allclose(seen[one] / others[one], 1, atol=0.2, err_msg=str(one))


def test_what_a_filter_drops_stays_out_where_a_loss_leaves_drawn_negatives_out():
    q, d, batch = random_units(2, 4), random_units(2, 2, 4), make_batch([[3, 5], [5, 8]])
    source = prepared(InBatch(logq=True), make_training([(0, 3), (1, 5)], docs=9))
    c = Candidates.own(q, d, batch, NAMES).add(q, source(q, d, batch), "in_batch")
    sampled = ~c.sampled.log_q.isnan()
    assert not (c.valid & sampled)[0].any() and (c.of_sources(["in_batch"]).valid & sampled)[0].any()
    assert not (c.keep(c.ids != 5).of_sources(["in_batch"]).valid & sampled)[0].any()


@pytest.mark.parametrize("name", ["in_batch", "queue"])
def test_a_row_is_offered_no_sampled_copy_of_its_own_documents(name):
    """Without filter=known_positives too: what it has already is in the sum once."""
    training = make_training([(0, 3), (1, 3), (2, 5)], docs=9)
    sources = {"in_batch": InBatch(logq=True), "queue": prepared(Queue(6, logq=True), training)}
    q, d, batch = random_units(3, 4), random_units(3, 2, 4), make_batch([[3, 5], [3, 8], [5, 7]])
    sources["queue"].update(d.detach(), batch)
    columns = prepared(sources[name], training)(q, d, batch)
    c = Candidates.own(q, d, batch, NAMES).add(q, columns, name)
    offered = c.valid[:, 2:] & ~c.sampled.log_q[:, 2:].isnan()
    assert [set(c.ids[row, 2:][offered[row]].tolist()) for row in range(3)] == [set(), {5}, {3}]


def test_only_what_a_source_sampled_is_corrected_and_two_sources_are_averaged():
    q, d = random_units(1, 2), random_units(1, 2, 2, seed=1)
    columns = Columns(d[0], torch.tensor([8, 9]), torch.tensor([-1, -1]))
    plain = Candidates.own(q, d, make_batch([[5, 6]]), NAMES).add(q, columns, "in_batch")
    assert plain.sampled is None
    sampled = Columns(columns.emb, columns.ids, columns.owner, torch.tensor([1.0, torch.nan]))
    one = plain.add(q, sampled, "queue")
    torch.testing.assert_close((one.scores / 0.5 - one.logits(0.5))[0], torch.tensor([0.0, 0, 0, 0, 1, 0]))
    two = one.add(q, sampled, "in_batch")
    shift = (two.scores - two.logits(1.0))[0]
    torch.testing.assert_close(shift, torch.tensor([0.0, 0, 0, 0, 1 + math.log(2), 0, 1 + math.log(2), 0]))


def test_filters_and_other_losses_see_plain_similarities():
    scores = torch.rand(3, 5)
    log_q = torch.tensor([[torch.nan, 2.0, 0.0, 1.0, 2.0]]).expand(3, 5)
    sampled = SampledColumns(log_q, torch.zeros(3, 5, dtype=torch.bool), ("it",))
    corrected = make_candidates(scores, sampled=sampled)
    assert torch.equal(Triplet()(corrected), Triplet()(make_candidates(scores)))
    assert torch.equal(corrected.lowest_positive, scores[:, :1])
    assert not torch.equal(InfoNCE()(corrected), InfoNCE()(make_candidates(scores)))


def gradients(logq, rows, draws, seed=0):
    """The mean gradient of one query's loss over random batches, and that of the softmax over all documents."""
    rng = np.random.default_rng(seed)
    docs, own = 15, 4
    popularity = 1 / np.arange(1, docs + 1) ** 1.2
    popularity /= popularity.sum()
    table = (2 * torch.randn(docs, 6, generator=torch.Generator().manual_seed(seed))).requires_grad_()
    query = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed + 1))
    loss, source = InfoNCE(temperature=1.0), InBatch(logq=logq)
    source.popularity = torch.from_numpy(popularity.astype(np.float32))
    mean = torch.zeros_like(table)
    for _ in range(draws):
        ids = np.append(own, rng.choice(docs, rows - 1, p=popularity))
        d = table[ids][:, None]
        columns = source(query.expand(rows, 6), d, make_batch(ids[:, None]))
        first = make_batch([[own]])
        c = Candidates.own(query, d[:1], first, NAMES).add(query, columns, "in_batch")
        c = c.keep(KnownPositives()(c, first.positive_ids))
        mean += torch.autograd.grad(loss(c)[0], table)[0] / draws
    full = torch.nn.functional.cross_entropy(query @ table.T, torch.tensor([own]))
    return mean, torch.autograd.grad(full, table)[0]


def test_the_corrected_gradient_approaches_that_of_the_softmax_over_all_documents():
    def away(logq, rows):
        mean, full = gradients(logq, rows, draws=40)
        return float((mean - full).norm() / full.norm())

    assert away(True, 4096) < 0.03 < 0.5 * away(True, 64)
    assert away(False, 4096) > 0.15, "without the correction more samples do not help"
