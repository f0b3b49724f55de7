"""The batch's other blocks give GTE's loss, spare common positives, and are cut with the widths."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch

from hardneg.data.parts import Part
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.duplicates import Duplicates
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.same_set import SameSet
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded
from hardneg.negatives.blocks import BLOCKS, Blocks
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, make_data, make_training, random_units

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


def kept_pairs(batch, of=BLOCKS, rule=None):
    """(block, row, column's row) of every column of blocks that a filter leaves."""
    rows = len(batch)
    c = candidates(random_units(rows, 8), random_units(rows, batch.doc_ids.shape[1], 8, seed=1), batch, of)
    c = c.keep((rule or KnownPositives())(c, batch.positive_ids))
    found = (c.negative & (c.source == 2))[:, -rows * len(of) :].unflatten(1, (len(of), rows)).nonzero().tolist()
    return {(of[block], row, column) for row, block, column in found}


def test_what_a_known_positive_holds_together_is_not_pushed_apart_in_either_direction():
    """Row 0 shows document 0 and knows document 1 too, which row 1 shows."""
    batch = make_batch([[0], [1], [2]], positive_ids=[[0, 1], [1, -1], [2, -1]])
    kept = kept_pairs(batch)
    assert {pair for pair in kept if 2 not in pair[1:]} == {("document_query", 0, 1)}, "query 1 knows only 1"
    assert len(kept) == 1 + 3 * 4


def test_the_rule_is_that_of_sets_over_many_random_labels():
    draw = random.Random(0)
    for _ in range(20):
        known = [draw.sample(range(12), draw.randint(1, 4)) for _ in range(6)]
        shown = [[draw.choice(docs)] for docs in known]
        padded = [docs + [-1] * (4 - len(docs)) for docs in known]
        expected = set()
        for i, j in itertools.permutations(range(6), 2):
            mine, theirs = set(known[i]), set(known[j])
            if not mine & theirs:
                expected.add(("query_query", i, j))
            if shown[i][0] not in theirs:
                expected.add(("document_query", i, j))
            if shown[i][0] not in theirs and shown[j][0] not in mine:
                expected.add(("document_document", i, j))
        assert kept_pairs(make_batch(shown, positive_ids=padded)) == expected


def test_a_query_met_twice_is_not_set_against_itself():
    batch = make_batch([[0], [1]], query_ids=[5, 5], positive_ids=[[0, 1], [0, 1]])
    assert kept_pairs(batch) == set()


def test_only_judged_negatives_leaves_no_pair_that_nobody_judged():
    rule = KnownPositives(mode="only_judged_negatives")
    rule.prepare(make_training([(0, 0), (1, 1), (0, 1, 0)]))
    batch = make_batch([[0], [1]])
    assert kept_pairs(batch, rule=rule) == set()
    c = candidates(random_units(2, 8), random_units(2, 1, 8, seed=1), batch)
    assert rule(c, batch.positive_ids)[0, 1:3].tolist() == [False, True], "in_batch: document 1 was judged for query 0"


@pytest.mark.parametrize("prepared", [False, True])
def test_live_duplicates_leave_a_column_of_each_block(prepared):
    """Documents 1 and 2 have one text, and so have queries 1 and 3; nothing of a block is a copy of another block's."""
    rule = Duplicates(at="live")
    if prepared:
        data = make_data([(i, i) for i in range(4)], docs=["a", "b", "b", "c"], queries=["p", "r", "s", "r"])
        rule.prepare(TrainingSet(data))
    kept = kept_pairs(make_batch(torch.arange(4)[:, None]), rule=rule)
    every = {(block, i, j) for block in BLOCKS for i, j in itertools.permutations(range(4), 2)}
    same_document, same_query = {("document_document", i, 2) for i in (0, 3)}, set()
    for block in ("query_query", "document_query"):
        same_query |= {(block, i, 3) for i in (0, 2)}
    assert kept == (every - same_document - same_query if prepared else every)


def test_same_set_reads_queries_as_queries():
    """Two sets: documents 0-4 and queries 0-1, documents 5-9 and queries 2-3."""
    data = replace(
        make_data([(0, 0), (1, 5)], queries=4),
        mixed=(Part("a", range(2), range(5)), Part("b", range(2, 4), range(5, 10))),
    )
    rule = SameSet()
    rule.prepare(TrainingSet(data))
    kept = kept_pairs(make_batch([[0], [1], [5], [6]]), rule=rule)
    assert kept == {(block, *pair) for block in BLOCKS for pair in [(0, 1), (1, 0), (2, 3), (3, 2)]}


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
