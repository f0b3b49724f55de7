"""Pooling, by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.encoders.pooling import POOLINGS, is_known, pooling

HIDDEN = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], [[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [[2.0, 3.0], [3.0, 1.0]]),
        ("cls", [[1.0, 2.0], [1.0, 0.0]]),
        ("last", [[3.0, 4.0], [6.0, 3.0]]),
        ("max", [[3.0, 4.0], [6.0, 3.0]]),
        ("weighted_mean", [[7 / 3, 10 / 3], [23 / 6, 9 / 6]]),
        ("mean_sqrt_len", [[4 / 2**0.5, 6 / 2**0.5], [9 / 3**0.5, 3 / 3**0.5]]),
    ],
)
def test_padding_does_not_count(name, expected):
    torch.testing.assert_close(POOLINGS[name](HIDDEN, MASK), torch.tensor(expected))
    moved = torch.where(MASK[..., None], HIDDEN, -77.0)
    torch.testing.assert_close(POOLINGS[name](moved, MASK), torch.tensor(expected))


def test_what_is_not_pooled_before_a_text_counts_as_little():
    mask = torch.tensor([[False, True, False], [False, True, True]])
    for name, expected in {"cls": [[3.0, 4.0], [2.0, 0.0]], "last": [[3.0, 4.0], [6.0, 3.0]]}.items():
        torch.testing.assert_close(POOLINGS[name](HIDDEN, mask), torch.tensor(expected))
    beside = pooling("last+cls")(HIDDEN, mask)
    torch.testing.assert_close(beside, torch.tensor([[3.0, 4.0, 3.0, 4.0], [6.0, 3.0, 2.0, 0.0]]))


def test_names_are_known_and_stand_once():
    known = {"mean": True, "cls+mean": True, "mean+mean": False, "sum": False, "cls+sum": False, "": False}
    assert {name: is_known(name) for name in known} == known


def test_a_mean_keeps_its_type():
    assert POOLINGS["mean"](HIDDEN.bfloat16(), MASK).dtype == torch.bfloat16
