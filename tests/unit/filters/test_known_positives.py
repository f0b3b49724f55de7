"""KnownPositives: by id, row by row."""

from __future__ import annotations

import torch

from hardneg.filters.known_positives import KnownPositives
from hardneg.testing.synthetic import make_candidates


def test_a_known_positive_of_the_row_is_dropped_and_of_another_row_is_kept():
    c = make_candidates(torch.rand(2, 4), ids=[[1, 2, 3, 4], [2, 1, 3, 4]])
    keep = KnownPositives()(c, torch.tensor([[1, 3], [2, -1]]))
    assert keep.tolist() == [[False, True, False, True], [False, True, True, True]]


def test_the_positive_itself_stays():
    c = make_candidates(torch.rand(1, 2), ids=[[1, 1]])
    assert c.keep(KnownPositives()(c, torch.tensor([[1]]))).valid.tolist() == [[True, False]]
