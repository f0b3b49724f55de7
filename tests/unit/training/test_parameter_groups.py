"""Groups of weights: which weights are in which, at what rate, and what optimizers then do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from hardneg.encoders.dense_layers import DenseSpec
from hardneg.encoders.pooling import POOLINGS
from hardneg.encoders.static import StaticTower
from hardneg.encoders.transformer_tower import TransformerTower
from hardneg.errors import ConfigError
from hardneg.training.parameter_groups import ParameterGroups

MUON = "pytorch_optimizer.Muon"


def tower(layers=3):
    config = BertConfig(
        vocab_size=40, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16
    )
    made = TransformerTower(BertModel(config, add_pooling_layer=False), POOLINGS["mean"], True)
    made.project([DenseSpec(in_features=8, out_features=4)])
    return made


class Module(nn.Module):
    """As a training module has them: towers, and losses with a weight of their own."""

    def __init__(self, made):
        super().__init__()
        self.losses = nn.ModuleDict({"infonce": nn.Linear(1, 1)})
        self.towers = nn.ModuleDict({"query": made})


def rates(groups, module, lr=1.0):
    """The rate of every weight, by name."""
    names = {id(p): name for name, p in module.named_parameters()}
    found = {names[id(p)]: group.get("lr", lr) for group in groups.over(module, lr) for p in group["params"]}
    assert found.keys() == set(names.values())
    return found


def test_without_groups_matrices_are_decayed_and_all_else_is_not():
    module = Module(tower())
    matrices, rest = ParameterGroups().over(module, 1.0)
    assert all(p.ndim == 2 for p in matrices["params"]) and "name" not in matrices
    assert all(p.ndim == 1 for p in rest["params"]) and rest["weight_decay"] == 0
    assert len(matrices["params"]) + len(rest["params"]) == len(list(module.parameters()))


def test_layers_decay_downwards_as_in_beit():
    """The rate of Bao et al. 2022: lr * d^(layers + 1 - id), id 0 for embeddings, i + 1 for block i."""
    found = rates(ParameterGroups(layer_decay=0.5), Module(tower(3)), lr=8.0)
    for name, rate in found.items():
        if "encoder.layer." in name:
            number = 1 + int(name.split("encoder.layer.")[1].split(".")[0])
        else:
            number = 0 if ".embeddings." in name else 4
        assert rate == 8.0 * 0.5 ** (4 - number), name
    assert {rate for name, rate in found.items() if ".query.dense." in name} == {8.0}


def test_the_groups_that_need_no_pattern():
    groups = ParameterGroups({"embeddings": {"lr": 0.1}, "head": {"lr": 0.2}, "loss": {"lr": 0.3}})
    for name, rate in rates(groups, Module(tower())).items():
        if name.endswith("_embeddings.weight"):
            assert rate == 0.1
        elif name.startswith("losses"):
            assert rate == 0.3
        else:
            assert rate == (0.2 if ".query.dense." in name else 1.0), name


def test_the_first_pattern_that_matches_has_a_weight_and_biases_stay_without_decay():
    groups = ParameterGroups(
        {"values": {"match": ["*.value.*", "*.key.*"], "lr": 0.5}, "attention": {"match": "*.attention.*", "lr": 0.25}}
    )
    found = {group["name"]: group for group in groups.over(Module(tower(1)), 1.0)}
    assert set(found) == {f"{name}{end}" for name in ("values", "attention", "rest") for end in ("", "/no_decay")}
    assert [len(found[name]["params"]) for name in ("values", "values/no_decay", "attention")] == [2, 2, 2]
    assert all(group["weight_decay"] == 0 for name, group in found.items() if name.endswith("/no_decay"))
    assert "weight_decay" not in found["values"] and found["attention/no_decay"]["lr"] == 0.25


def test_groups_and_layers_multiply():
    module = Module(tower(2))
    groups = ParameterGroups({"attention": {"match": "*.attention.*", "lr": 10.0}}, layer_decay=0.5)
    found = rates(groups, module)
    assert found["towers.query.model.encoder.layer.1.attention.self.key.weight"] == 5.0
    assert found["towers.query.model.encoder.layer.0.output.dense.weight"] == 0.25


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"groups": {"top": {"match": "*.layer.7.*", "lr": 1.0}}},
            r"optimizer\.groups\.top .* matches no trained weight",
        ),
        ({"groups": {"top": {"lr": 1.0}}}, "add match"),
        ({"groups": {"head": {}}}, "must be settings"),
        ({"layer_decay": 1.5}, r"optimizer\.layer_decay"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings, says):
    with pytest.raises(ConfigError, match=says):
        ParameterGroups(**settings).over(Module(tower(1)), 1.0)


def test_layers_and_muon_need_layers():
    module = Module(StaticTower(20, 8, True))
    with pytest.raises(ConfigError, match="layer_decay is for encoders with layers"):
        ParameterGroups(layer_decay=0.9).over(module, 1.0)
    with pytest.raises(ConfigError, match="optimizer=muon"):
        ParameterGroups(orthogonal=True).over(module, 1.0)
    assert rates(ParameterGroups({"embeddings": {"lr": 0.5}}), module)["towers.query.embedding.weight"] == 0.5


def test_muon_turns_matrices_of_layers_and_adamw_does_the_rest():
    """One step: an update of a matrix has singular values near 1 (times the adjusted rate), one of a bias is Adam's."""
    optimizers = pytest.importorskip("pytorch_optimizer")
    torch.manual_seed(0)
    module = Module(tower(1))
    groups = ParameterGroups.of({"_target_": MUON, "groups": {}, "layer_decay": None})
    made = optimizers.Muon(groups.over(module, 0.1), lr=0.1, use_adjusted_lr=True, adamw_lr=0.01)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for p in module.parameters():
        p.grad = torch.randn_like(p)
    made.step()
    moved = {name: (p.detach() - before[name]) for name, p in module.named_parameters()}
    key = "towers.query.model.encoder.layer.0.attention.self.key"
    size = 0.1 * 0.2 * 8**0.5  # Moonlight: 0.2 * sqrt(max(rows, columns)) times the rate
    values = torch.linalg.svdvals(moved[f"{key}.weight"])
    assert ((values > 0.6 * size) & (values < 1.3 * size)).all()
    for name in (f"{key}.bias", "towers.query.model.embeddings.word_embeddings.weight", "losses.infonce.weight"):
        assert moved[name].abs().allclose(torch.full_like(moved[name], 0.01), rtol=1e-3), name


def test_lion_and_lamb_do_what_their_papers_say():
    optimizers = pytest.importorskip("pytorch_optimizer")
    start, grad = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.5, -2.0]])

    def step(make, **settings):
        weight = nn.Parameter(start.clone())
        weight.grad = grad.clone()
        make([weight], **settings).step()
        return weight.detach()

    lion = step(optimizers.Lion, lr=0.1, weight_decay=0.5)
    assert lion.allclose(start - 0.1 * (grad.sign() + 0.5 * start))  # Chen et al. 2023, algorithm 2
    update = (0.1 * grad) / ((0.001 * grad**2).sqrt() + 1e-6)  # You et al. 2020, without bias correction
    lamb = step(optimizers.Lamb, lr=0.1, eps=1e-6, adam_debias=True)
    assert lamb.allclose(start - 0.1 * update * start.norm() / update.norm(), rtol=1e-4)
