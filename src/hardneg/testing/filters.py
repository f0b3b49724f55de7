"""What every filter promises: checks of the prepared filter, on a live batch and on mined lists."""

from __future__ import annotations

import copy
import dataclasses
import json

import torch
from torch import Tensor

from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates
from hardneg.testing.synthetic import make_candidates


def live() -> tuple[Candidates, Tensor]:
    """A live batch's matrix: own documents and 4 columns for all; some documents are known positives elsewhere."""
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 12, (5, 8), generator=rng)
    ids[:, 4:] = ids[0, 4:]
    ids[4, 3] = -1
    c = make_candidates(torch.rand(5, 8, generator=rng) * 2 - 1, valid=ids >= 0, ids=ids)
    known = torch.cat([ids[:, :1], torch.randint(0, 12, (5, 2), generator=rng)], dim=1)
    known[:2, 2] = -1
    return c, known


def mined() -> tuple[Candidates, Tensor]:
    """A mined list: known positives first (of one row unknown), scores fall, and short lists end in (-1, -inf)."""
    rng = torch.Generator().manual_seed(1)
    ids = torch.stack([torch.randperm(30, generator=rng)[:10] for _ in range(5)])
    scores = (torch.rand(5, 10, generator=rng) * 2 - 1).sort(dim=1, descending=True).values
    ids[2, 6:], scores[2, 6:] = -1, -torch.inf
    ids[3], scores[3] = -1, -torch.inf
    known = ids[:, 1:3].clone()
    known[3] = torch.tensor([3, -1])
    of_known = torch.rand(5, 2, generator=rng).masked_fill(known < 0, torch.nan)
    of_known[4] = torch.nan
    ids = torch.cat([known, ids], dim=1)
    first = torch.arange(12).expand(5, 12) < 2
    c = make_candidates(
        torch.cat([of_known, scores], dim=1),
        first & (ids >= 0),
        ids >= 0,
        ids,
        names=("positive", "mined"),
        query_ids=torch.arange(5),
        rank=torch.where(first, -1, torch.arange(12) - 2),
    )
    return c, known


SHAPES = (live, mined)


def says_keep_or_drop_of_every_candidate(rule: CandidateFilter) -> None:
    """The filter says True or False of every candidate, the same each time, and leaves its input as it is."""
    for shape in SHAPES:
        c, known = shape()
        before = copy.deepcopy(c)
        mask = rule(c, known)
        right = mask.dtype == torch.bool and mask.shape == c.scores.shape
        assert right, f"a mask {tuple(c.scores.shape)} of bool is due, got {mask.dtype} {tuple(mask.shape)}"
        assert torch.equal(mask, rule(c, known)), "the same candidates are judged another way"
        for a, b in zip(dataclasses.astuple(c), dataclasses.astuple(before), strict=True):
            same = torch.allclose(a, b, equal_nan=True) if isinstance(a, torch.Tensor) else a == b
            assert same, "the filter changes its input"


def never_drops_a_positive(rule: CandidateFilter) -> None:
    """A positive is never dropped, and nothing that was dropped comes back."""
    c, known = live()
    kept = c.keep(rule(c, known))
    assert (kept.valid & kept.positive).sum() == c.positive.sum(), "a positive was dropped"
    assert not (kept.valid & ~c.valid).any(), "what was dropped is back"


def filtering_twice_changes_nothing(rule: CandidateFilter) -> None:
    """Filtering what is left again drops nothing more."""
    for shape in SHAPES:
        c, known = shape()
        once = c.keep(rule(c, known))
        twice = once.keep(rule(once, known))
        assert torch.equal(once.valid, twice.valid), "filtering again drops more"


def rows_are_judged_alike(rule: CandidateFilter) -> None:
    """A row is judged by what is in it, not by its place in the batch."""
    for shape in SHAPES:
        c, known = shape()
        order = torch.tensor([3, 0, 4, 2, 1])
        named = ("scores", "ids", "positive", "valid", "source", "query_ids", "rank")
        fields = {f: getattr(c, f)[order] for f in named if getattr(c, f) is not None}
        moved = rule(dataclasses.replace(c, **fields), known[order])
        assert torch.equal(moved[fields["valid"]], rule(c, known)[order][fields["valid"]]), "the row's place matters"


def settings_can_name_a_store(rule: CandidateFilter) -> None:
    """`identity()` can be written as JSON: the name of a mined list holds its filters' settings."""
    json.dumps(rule.identity())


FILTER = [says_keep_or_drop_of_every_candidate, never_drops_a_positive, filtering_twice_changes_nothing]
FILTER += [rows_are_judged_alike, settings_can_name_a_store]
