"""Compiled towers: the same numbers, and few shapes however long the texts of a batch are."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from hardneg.encoders.encode import encode
from hardneg.encoders.fixed_shapes import Compiler, bucket
from hardneg.matrix.batch import Tokens


class Attends(nn.Module):
    """Attention without dropout over no more words than it has positions, and a mean over them."""

    def __init__(self, positions=64):
        super().__init__()
        self.words, self.places = nn.Embedding(50, 16), nn.Embedding(positions, 16)

    def forward(self, ids, mask):
        x = self.words(ids) + self.places.weight[: ids.shape[1]]
        weights = (x @ x.mT).masked_fill(~mask[:, None], -1e9).softmax(dim=-1)
        return ((weights @ x) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def batch(seed, rows=40, longest=30):
    dice = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (rows,), generator=dice)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return Tokens(torch.randint(1, 50, mask.shape, generator=dice) * mask, mask, lengths)


def gradients(network, tokens, size, compiler=None):
    network.zero_grad()
    found = encode(network, tokens, size, compiler=compiler)
    (found * torch.arange(len(found))[:, None]).sum().backward()
    return found.detach(), torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.fixture
def graphs():
    """The shapes that a backend which runs things as they are was asked to compile."""
    torch._dynamo.reset()
    seen = []

    def backend(module, inputs):
        seen.append([tuple(one.shape) for one in inputs])
        return module.forward

    yield seen, Compiler(backend=backend)
    torch._dynamo.reset()


def test_lengths_are_rounded_up_to_few():
    found = bucket(torch.tensor([1, 8, 9, 16, 17, 24, 25, 33, 48, 49, 64, 65, 97, 128, 129, 200, 512]))
    assert found.tolist() == [8, 8, 16, 16, 24, 24, 32, 48, 48, 64, 64, 96, 128, 128, 192, 256, 512]


def test_none_is_wider_than_a_model_has_positions():
    found = bucket(torch.tensor([9, 65, 77]), longest=77)
    assert found.tolist() == [16, 77, 77]
    tokens, network = batch(0, longest=30), Attends(positions=30)
    found = encode(network, tokens, 256, compiler=Compiler(longest=30, backend="eager"))
    torch.testing.assert_close(found, encode(network, tokens, 256))


@pytest.mark.parametrize("size", [128, None])
def test_vectors_and_gradients_are_those_of_the_plain_tower(graphs, size):
    torch.manual_seed(0)
    network = Attends()
    for seed in range(2):
        plain, compiled = gradients(network, batch(seed), size), gradients(network, batch(seed), size, graphs[1])
        for one, other in zip(plain, compiled, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_batches_of_other_lengths_are_not_compiled_anew(graphs):
    seen, compiler = graphs
    network = Attends()
    for seed in range(12):  # with as many longest texts, and splits into parts
        encode(network, batch(seed, longest=18 + seed), 256, compiler=compiler)
    assert 0 < len(seen) <= 8, f"{len(seen)} graphs: {seen}"
    before = len(seen)
    for seed in range(12):
        encode(network, batch(seed, longest=18 + seed), 256, compiler=compiler)
    assert len(seen) == before


def test_without_gradients_it_runs_as_it_is(graphs):
    with torch.no_grad():
        encode(Attends(), batch(0), 128, compiler=graphs[1])
    assert not graphs[0]


def test_a_copy_compiles_for_itself():
    one = Compiler(longest=100, backend="eager")
    one(Attends())
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert (other.longest, other.backend) == (100, "eager") and not other._made
