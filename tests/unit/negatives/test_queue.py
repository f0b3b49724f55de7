"""The queue against a list of what was seen, and a momentum run against MoCo's loop written out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from hardneg.encoders.encode import encode
from hardneg.encoders.static import Static
from hardneg.encoders.towers import QUERY
from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.candidates import Candidates
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.testing.synthetic import make_batch, make_data, make_model, random_units


def offered(source, q, d, batch):
    """What the queue offers: (id, embedding) of the columns in use."""
    columns = source(q, d, batch)
    assert (columns.owner == -1).all() and not columns.emb.requires_grad
    return {(int(i), tuple(e.tolist())) for i, e in zip(columns.ids, columns.emb, strict=True) if i >= 0}


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("size", [5, 6, 40])
def test_holds_what_a_list_of_the_last_documents_holds(size, hard):
    """Documents come back, lists are short, a batch is larger than the queue."""
    source, ring = Queue(size, hard), []
    rng = torch.Generator().manual_seed(0)
    for step in range(12):
        ids = torch.stack([torch.randperm(30, generator=rng)[:3] for _ in range(3)])
        ids[0, 2] = -1
        batch, q, d = make_batch(ids), random_units(3, 4, seed=step), random_units(3, 3, 4, seed=step + 100)
        here = set(ids.flatten().tolist())
        assert offered(source, q, d, batch) == {(i, e) for i, e in ring if i not in here and i >= 0}
        source.update(d.detach(), batch)
        slots = 3 if hard else 1
        taken = ids[:, :slots].flatten().tolist(), d[:, :slots].flatten(0, 1).tolist()
        new = [(i, tuple(e)) for i, e in zip(*taken, strict=True) if i >= 0][-size:]  # padding takes no place
        ring = [(-1 if i in {j for j, _ in new} else i, e) for i, e in ring]
        # Of a document that several rows show the last copy counts, as over the steps.
        new = [(-1 if i in {j for j, _ in new[place + 1 :]} else i, e) for place, (i, e) in enumerate(new)]
        ring = (ring + new)[-size:]


def test_a_document_that_two_rows_show_is_a_negative_once():
    """Twice it would weigh twice in the softmax: ids 1 and 2 of both rows, each as its last row embedded it."""
    source, d = Queue(8), random_units(3, 2, 4)
    source.update(d.detach(), make_batch([[1, 2], [3, 1], [2, 5]]))
    columns = source(random_units(1, 4), random_units(1, 1, 4), make_batch([[9]]))
    there = columns.ids >= 0
    assert sorted(columns.ids[there].tolist()) == [1, 2, 3, 5]
    seen = dict(zip(columns.ids[there].tolist(), columns.emb[there], strict=True))
    assert torch.equal(seen[1], d[1, 1]) and torch.equal(seen[2], d[2, 0])


def test_without_hard_it_takes_every_positive_and_padding_takes_no_place():
    source, d = Queue(3, hard=False), random_units(2, 3, 4)
    source.update(d.detach(), make_batch([[1, 2, 8], [3, -1, 9]], positives=2))
    batch, q = make_batch([[4], [5]]), random_units(2, 4)
    assert {i for i, _ in offered(source, q, d[:, :1], batch)} == {1, 2, 3}
    source.update(d.detach(), make_batch([[4, -1, 8], [5, -1, 9]], positives=2))
    batch = make_batch([[6], [7]])
    assert {i for i, _ in offered(source, q, d[:, :1], batch)} == {3, 4, 5}


def test_starts_empty_and_waits_for_the_warm_up():
    source = Queue(4, warmup_steps=2)
    for step, expected in enumerate([0, 0, 4]):
        batch = make_batch([[10 * step], [10 * step + 1]])
        q, d = random_units(2, 4, seed=step), random_units(2, 1, 4, seed=step)
        assert len(offered(source, q, d, batch)) == expected
        source.update(d.detach(), batch)


def test_known_positives_in_the_queue_are_no_negatives():
    from hardneg.filters.known_positives import KnownPositives

    source, d = Queue(4), random_units(2, 1, 4)
    source.update(d.detach(), make_batch([[7], [8]]))
    batch = make_batch([[1], [2]], positive_ids=[[1, 7], [2, -1]])
    c = Candidates.own(d[:, 0], d, batch, ("positive", "queue")).add(d[:, 0], source(d[:, 0], d, batch), "queue")
    c = c.keep(KnownPositives()(c, batch.positive_ids))
    assert [c.ids[row][c.negative[row]].tolist() for row in (0, 1)] == [[8], [7, 8]]


def test_may_be_updated_before_the_backward_pass():
    source, d = Queue(4), random_units(2, 1, 4)
    source.update(d.detach(), make_batch([[7], [8]]))
    batch, q = make_batch([[1], [2]]), random_units(2, 4, seed=3)
    before = source(q, d, batch).emb.clone()
    scores = q @ source(q, d, batch).emb.T
    source.update(d.detach(), batch)
    (gradient,) = torch.autograd.grad(scores.sum(), q)
    torch.testing.assert_close(gradient, before.sum(0).expand(2, 4))


def test_state_comes_back_whatever_the_width():
    source, d = Queue(4), random_units(2, 1, 8)
    source.update(d.detach(), make_batch([[7], [8]]))
    back = Queue(4)
    back.load_state_dict(source.state_dict())
    back.load_state_dict(Queue(4).state_dict())  # and of a run that has not begun
    assert back.emb.shape == (4, 0)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"warmup_steps": -1}])
def test_refuses(wrong):
    with pytest.raises(ConfigError, match=f"negatives.queue.{next(iter(wrong))}"):
        Queue(**wrong)


def test_momentum_goes_with_a_shared_tower_only():
    with pytest.raises(ConfigError, match="separate=false"):
        Static(momentum=0.9, separate=True)
    with pytest.raises(ConfigError, match="below 1"):
        Static(momentum=1.0)


def test_cross_batch_memory_written_out(tmp_path):
    """XBM (arXiv:1912.06798): in-batch negatives with gradient, and the embeddings of earlier steps as they were then.

    Pairs come back after a while; a document in the batch is not taken from the memory, and the query's own positive is
    no negative of it.
    """
    rate, temperature, size, warmup = 0.5, 0.1, 18, 2
    data = make_data([(i, i) for i in range(20)], docs=20, queries=20)
    model = make_model(data, tmp_path)
    towers, loss = model.towers, InfoNCE(temperature)
    in_batch, queue = InBatch(), Queue(size, warmup_steps=warmup)
    f, memory = copy.deepcopy(towers.tower(QUERY)), []
    ours = torch.optim.SGD(towers.parameters(), lr=rate)
    theirs = torch.optim.SGD(f.parameters(), lr=rate)
    for step in range(8):
        rows = (torch.arange(5) + 5 * step) % 20
        queries, docs = model.queries.batch(rows.numpy()), model.docs.batch(rows.numpy())

        batch = make_batch(rows[:, None], query_ids=rows)
        q, d = towers.both(queries, docs)
        d = d.unflatten(0, (5, 1))
        c = Candidates.own(q, d, batch, ("positive", "in_batch", "queue"))
        c = c.add(q, in_batch(q, d, batch), "in_batch").add(q, queue(q, d, batch), "queue")
        found = loss(c).mean()
        ours.zero_grad(), found.backward(), ours.step()
        queue.update(d.detach(), batch)

        q, d = encode(f, queries, None), encode(f, docs, None)
        old = [e for i, e in memory if i not in rows.tolist()] if step >= warmup else []
        logits = torch.cat([q @ d.T, q @ torch.stack(old).T if old else q.new_zeros(5, 0)], dim=1) / temperature
        expected = F.cross_entropy(logits, torch.arange(5))
        theirs.zero_grad(), expected.backward(), theirs.step()
        memory = [(i, e) for i, e in memory if i not in rows.tolist()]
        memory = (memory + list(zip(rows.tolist(), d.detach(), strict=True)))[-size:]
        torch.testing.assert_close(found, expected)
    assert len(old) > 5
    torch.testing.assert_close(towers.tower(QUERY).embedding.weight, f.embedding.weight)


def test_moco_as_its_paper_writes_it(tmp_path):
    """The same losses and weights as Algorithm 1 of arXiv:1911.05722, written out with a list for a queue."""
    momentum, rate, temperature, size = 0.9, 0.5, 0.1, 12
    data = make_data([(i, i) for i in range(30)], docs=30, queries=30)
    model = make_model(data, tmp_path, momentum=momentum)
    towers, queue, loss = model.towers, Queue(size, hard=False), InfoNCE(temperature)
    f_q, f_k, keys = copy.deepcopy(towers.tower(QUERY)), copy.deepcopy(towers.tower(QUERY)), []
    ours = torch.optim.SGD([p for p in towers.parameters() if p.requires_grad], lr=rate)
    theirs = torch.optim.SGD(f_q.parameters(), lr=rate)
    for step in range(6):
        rows = torch.arange(5 * step, 5 * step + 5)
        queries, docs = model.queries.batch(rows.numpy()), model.docs.batch(rows.numpy())

        batch = make_batch(rows[:, None], query_ids=rows)
        q, d = towers.both(queries, docs)
        d = d.unflatten(0, (5, 1))
        c = Candidates.own(q, d, batch, ("positive", "queue")).add(q, queue(q, d, batch), "queue")
        found = loss(c).mean()
        ours.zero_grad(), found.backward(), ours.step()
        towers.follow(), queue.update(d.detach(), batch)

        q = encode(f_q, queries, None)
        with torch.no_grad():
            k = encode(f_k, docs, None)
        l_pos = (q * k).sum(1, keepdim=True)
        l_neg = q @ torch.stack(keys).T if keys else q.new_zeros(5, 0)
        expected = F.cross_entropy(torch.cat([l_pos, l_neg], 1) / temperature, torch.zeros(5, dtype=torch.long))
        theirs.zero_grad(), expected.backward(), theirs.step()
        for slow, trained in zip(f_k.parameters(), f_q.parameters(), strict=True):
            slow.data = momentum * slow.data + (1 - momentum) * trained.data
        keys = (keys + list(k))[-size:]
        torch.testing.assert_close(found, expected)
    for one, two in ((towers.tower(QUERY), f_q), (towers.slow, f_k)):
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(a, b)
    assert not torch.equal(f_q.embedding.weight, f_k.embedding.weight)
