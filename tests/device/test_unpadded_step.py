"""A step without padding, on a device: the CPU's numbers, and its host never waits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.data.tokens import token_tables
from hardneg.encoders import unpadded
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer


def gradients(bert, toy, folder, where, device=None):
    """Embed a batch in one part, and go back; returns vectors and gradients on the CPU."""
    recipe = Transformer(model=str(bert), dropout=0.0, layers=1, tokens=100_000, unpad=True).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).to(where)
    tables = token_tables(toy, tokenizer, recipe.query, recipe.document, folder)
    queries, docs = (table.batch(np.arange(6)).to(where, non_blocking=True) for table in tables)
    if device is not None:
        device.waits.clear()
    q, d = towers.both(queries, docs)
    (q @ d.mT).log_softmax(dim=1).diagonal().sum().backward()
    if device is not None:
        assert device.waits == {}
    grads = [p.grad.detach().cpu().flatten() for p in towers.parameters() if p.grad is not None]
    return torch.cat([q, d]).detach().cpu(), torch.cat(grads)


def test_a_step_without_padding_has_the_cpus_numbers_and_never_waits(bert, toy, tmp_path, device):
    found = gradients(bert, toy, tmp_path, device.device, device)
    for one, other in zip(found, gradients(bert, toy, tmp_path, "cpu"), strict=True):
        device.same(one, other, atol=1e-5)


@pytest.mark.parametrize(("heads", "window"), [(4, (-1, -1)), (2, (-1, 0)), (4, (5, 5))])
def test_the_kernel_attends_as_padded_texts_do(heads, window, device):
    if torch.device(device.device).type != "cuda":
        pytest.skip("torch's kernel for texts of many lengths is for NVIDIA GPUs")
    layout = unpadded.TokenLayout.of(torch.tensor([3, 40, 1, 17]), torch.device(device.device))
    make = {"device": device.device, "dtype": torch.bfloat16, "requires_grad": True}
    inputs = [torch.randn(61, count, 32, **make) for count in (4, heads, heads)]
    assert unpadded._kernel_takes(inputs[0], 0.0)
    found = []
    for attend, more in ((unpadded._by_kernel, ()), (unpadded._with_padding, (0.0,))):
        out = attend(*inputs, layout, 32**-0.5, window, *more)
        found.append([out, *torch.autograd.grad(out.float().square().sum(), inputs)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=3e-2, rtol=3e-2)
