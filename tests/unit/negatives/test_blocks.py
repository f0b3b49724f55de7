"""The batch's other blocks give GTE's loss, spare common positives, and are cut with the widths."""

from __future__ import annotations

import pytest
import torch
from synthetic import make_batch, random_units

from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded
from hardneg.negatives.blocks import BLOCKS, Blocks
from hardneg.negatives.in_batch import InBatch

NAMES = ("positive", "in_batch", "blocks")


def candidates(q, d, batch, of=BLOCKS) -> Candidates:
    columns = {"in_batch": InBatch()(q, d, batch), "blocks": Blocks(of)(q, d, batch)}
    return Embedded(q, d, columns).candidates(batch, NAMES)


@pytest.mark.parametrize("of", [BLOCKS, ("query_query", "document_document"), ("document_query",)])
def test_infonce_over_all_blocks_is_gtes_loss(of):
    q, d = random_units(5, 8), random_units(5, 1, 8, seed=1)
    value = InfoNCE(temperature=0.1)(candidates(q, d, make_batch(torch.arange(5)[:, None]), of))
    exps = {
        name: (row @ column.T / 0.1).exp()
        for name, row, column in (
            ("query_document", q, d[:, 0]),
            ("query_query", q, q),
            ("document_query", d[:, 0], q),
            ("document_document", d[:, 0], d[:, 0]),
        )
    }
    others = ~torch.eye(5, dtype=torch.bool)
    total = exps["query_document"].sum(dim=1) + sum((exps[name] * others).sum(dim=1) for name in of)
    expected = -(exps["query_document"].diagonal() / total).log()
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(x.sum(), [q, d], retain_graph=True) for x in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_rows_with_a_common_positive_are_not_set_against_each_other():
    batch = make_batch([[0], [1], [2]], positive_ids=[[0, 1], [1, -1], [2, -1]])
    c = candidates(random_units(3, 8), random_units(3, 1, 8, seed=1), batch)
    kept = c.keep(KnownPositives()(c, batch.positive_ids))
    blocks = (kept.negative & (kept.source == 2)).sum(dim=1).tolist()
    assert blocks == [3, 6, 6], "row 0 knows row 1's document as a positive"


def test_a_narrower_view_scores_all_blocks_anew():
    q, d = random_units(4, 8), random_units(4, 2, 8, seed=1)
    batch = make_batch(torch.arange(8).reshape(4, 2))
    embedded = Embedded(q, d, {"blocks": Blocks()(q, d, batch)})
    narrow = embedded.cut(4, normalize=True).candidates(batch, NAMES)
    first = torch.nn.functional.normalize(d[:, 0, :4], dim=-1)
    torch.testing.assert_close(narrow.scores[:, -4:], first @ first.T)


@pytest.mark.parametrize("of", [[], ["query_document"], "query_query"])
def test_blocks_that_there_are_not_are_refused(of):
    with pytest.raises(ConfigError, match=r"negatives\.blocks\.of must be a list of"):
        Blocks(of)
