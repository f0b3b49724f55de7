"""Latent-attention pooling, against the formula written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hardneg.encoders.latent_attention import Latents
from hardneg.errors import ConfigError


def test_it_is_the_formula_token_by_token():
    torch.manual_seed(0)
    pool = Latents(count=5, heads=2, expansion=3).build(4)
    hidden = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    for row, length in enumerate((3, 2)):
        tokens = []
        for token in hidden[row, :length]:
            q = pool.query(F.layer_norm(token, (4,)))
            keys, values = pool.key_value(F.layer_norm(pool.latents, (4,))).split(4, dim=1)
            heads = []
            for part in (slice(0, 2), slice(2, 4)):
                weights = torch.softmax(keys[:, part] @ q[part] / 2**0.5, dim=0)
                heads.append(weights @ values[:, part])
            found = token + pool.out(torch.cat(heads))
            value, gate = pool.up(F.layer_norm(found, (4,))).split(12)
            tokens.append(found + pool.down(value * 0.5 * gate * (1 + torch.erf(gate / 2**0.5))))
        torch.testing.assert_close(pool(hidden, mask)[row], torch.stack(tokens).mean(dim=0))


def test_padding_does_not_count():
    pool = Latents(count=5, heads=1).build(4)
    hidden, mask = torch.randn(1, 3, 4), torch.tensor([[True, True, False]])
    moved = torch.where(mask[..., None], hidden, -77.0)
    torch.testing.assert_close(pool(moved, mask), pool(hidden[:, :2], mask[:, :2]))


def test_it_takes_what_a_bfloat16_model_gives():
    pool = Latents(count=5, heads=1).build(4)
    assert pool(torch.randn(1, 3, 4).bfloat16(), torch.ones(1, 3, dtype=torch.bool)).dtype == torch.float32


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.latents needs count"):
        Latents(count=0)
    with pytest.raises(ConfigError, match=r"heads=3 must divide the model's width, 16"):
        Latents(heads=3).build(16)
