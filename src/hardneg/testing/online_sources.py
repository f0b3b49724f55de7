"""What every online source promises: checks of the source alone, taken through some batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates, Columns
from hardneg.matrix.paired_columns import PAIRINGS
from hardneg.negatives.base import OnlineSource
from hardneg.testing.synthetic import make_batch, random_units


def steps(source: OnlineSource, count: int = 2, seed: int = 0) -> Iterator[tuple[Tensor, Tensor, Batch, Columns]]:
    """Take the source through some batches of other documents; yield (q, d, batch, what it offered)."""
    for step in range(count):
        batch = make_batch(torch.arange(12).reshape(4, 3) + 12 * step)
        q, d = random_units(4, 8, seed=seed + 2 * step), random_units(4, 3, 8, seed=seed + 2 * step + 1)
        yield q, d, batch, source(q, d, batch)
        source.update(d.detach(), batch)


def columns_agree(source: OnlineSource) -> None:
    """The columns' shapes agree, embeddings are finite, ids and owners whole, and something is offered in two steps."""
    offered = 0
    for q, d, _, columns in steps(copy.deepcopy(source)):
        agree = columns.emb.shape == (len(columns.ids), q.shape[1]) and columns.owner.shape == columns.ids.shape
        assert agree, f"emb {columns.emb.shape}, ids {columns.ids.shape}, owner {columns.owner.shape}"
        assert not columns.ids.is_floating_point() and not columns.owner.is_floating_point()
        assert (columns.owner >= -1).all(), "an owner is a row of the batch, or -1"
        assert torch.isfinite(columns.emb).all() and columns.emb.dtype == d.dtype
        offered += len(columns.ids)
    assert offered, "the source offered nothing in two steps"


def offers_embeddings_under_their_own_ids(source: OnlineSource) -> None:
    """Each embedding comes under the id of what it is of, and with the row that brought it as its owner."""
    for q, d, batch, columns in steps(copy.deepcopy(source)):
        pairings = torch.zeros_like(columns.ids) if columns.pairing is None else columns.pairing
        places = zip(columns.emb, columns.ids.tolist(), columns.owner.tolist(), pairings.tolist(), strict=True)
        for emb, doc, owner, pairing in places:
            if PAIRINGS[pairing].endswith("_query"):  # the column is a query, and its id a row of theirs
                assert batch.query_ids[owner] == doc and torch.allclose(emb, q[owner])
            elif owner >= 0:
                slot = batch.doc_ids[owner].tolist().index(doc)
                assert torch.allclose(emb, d[owner, slot]), f"what is offered as document {doc} is another"
            else:
                assert doc not in batch.doc_ids[batch.doc_ids >= 0].tolist(), (
                    f"document {doc} has an owner in the batch"
                )


def gives_no_row_its_own_documents(source: OnlineSource) -> None:
    """No row gets its own documents a second time, as negatives."""
    for q, d, batch, columns in steps(copy.deepcopy(source)):
        c = Candidates.own(q, d, batch, ("positive", "drawn", "it")).add(q, columns, "it", d=d[:, 0])
        added = slice(d.shape[1], None)
        for row, own in enumerate(batch.doc_ids.tolist()):
            of_document = c.negative[row] if c.of_query is None else c.negative[row] & ~c.of_query
            usable = c.ids[row, added][of_document[added]].tolist()
            assert not set(usable) & set(own), f"row {row} got its own documents a second time"


def offers_no_padding_as_a_negative(source: OnlineSource) -> None:
    """Padding is never a negative."""
    batch = make_batch([[0, 1, -1], [2, -1, -1], [3, 4, 5]])
    q, d = random_units(3, 8), random_units(3, 3, 8, seed=1)
    c = Candidates.own(q, d, batch, ("positive", "drawn", "it")).add(q, source(q, d, batch), "it", d=d[:, 0])
    assert not (c.valid & (c.ids < 0)).any(), "a column with id -1 is valid"


def only_this_batch_gets_a_gradient(source: OnlineSource) -> None:
    """Documents of this batch are offered with gradient, those of earlier steps without."""
    for _, d, _, columns in steps(copy.deepcopy(source)):
        here = columns.owner >= 0
        if here.any():
            (gradient,) = torch.autograd.grad(columns.emb[here].sum(), d, retain_graph=True)
            assert gradient.abs().sum() > 0, "documents of this batch are offered without gradient"
        if not here.all() and columns.emb.requires_grad:
            (gradient,) = torch.autograd.grad(columns.emb[~here].sum(), d, retain_graph=True, allow_unused=True)
            assert gradient is None or not gradient.any(), "documents without an owner here pull at this batch's"


def state_round_trips(source: OnlineSource) -> None:
    """What the source holds is in its `state_dict`: after a resume it offers the same."""
    used, fresh = copy.deepcopy(source), copy.deepcopy(source)
    list(steps(used))
    fresh.load_state_dict(used.state_dict())
    batch = make_batch(torch.arange(12).reshape(4, 3) + 100)
    q, d = random_units(4, 8, seed=50), random_units(4, 3, 8, seed=51)
    for a, b in zip(*(vars(one(q, d, batch)).values() for one in (used, fresh)), strict=True):
        torch.testing.assert_close(a, b, msg=lambda said: f"after load_state_dict it offers something else: {said}")


ONLINE = [columns_agree, offers_embeddings_under_their_own_ids, gives_no_row_its_own_documents]
ONLINE += [offers_no_padding_as_a_negative, only_this_batch_gets_a_gradient, state_round_trips]
