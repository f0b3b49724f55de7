"""Pooling, by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.encoders.pooling import POOLINGS

HIDDEN = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], [[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [[2.0, 3.0], [3.0, 1.0]]),
        ("cls", [[1.0, 2.0], [1.0, 0.0]]),
        ("last", [[3.0, 4.0], [6.0, 3.0]]),
    ],
)
def test_padding_does_not_count(name, expected):
    torch.testing.assert_close(POOLINGS[name](HIDDEN, MASK), torch.tensor(expected))
    moved = torch.where(MASK[..., None], HIDDEN, -77.0)
    torch.testing.assert_close(POOLINGS[name](moved, MASK), torch.tensor(expected))


def test_a_mean_keeps_its_type():
    assert POOLINGS["mean"](HIDDEN.bfloat16(), MASK).dtype == torch.bfloat16
