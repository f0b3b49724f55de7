"""Merged weights are those of the formulas, and models that are not alike are told apart by their first difference."""

from __future__ import annotations

import math

import pytest
import torch

from hardneg.encoders.merge import ModelToMerge, average, check_alike, slerp
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError


def weights(seed, **more):
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(3, 4, generator=generator), "b": torch.randn(5, generator=generator).bfloat16(), **more}


def test_an_average_is_the_weighted_mean_rounded_once():
    models = [weights(seed) for seed in range(3)]
    shares = [0.5, 0.3, 0.2]
    found = average(models, shares)
    for name in ("a", "b"):
        exact = sum(share * model[name].double() for share, model in zip(shares, models, strict=True))
        assert torch.equal(found[name], exact.to(models[0][name].dtype))


def test_slerp_is_the_formula_and_the_ends_are_the_models():
    first, second = weights(0), weights(1)
    found = slerp(first, second, 0.3)
    for name in ("a", "b"):
        a, b = first[name].double().flatten().tolist(), second[name].double().flatten().tolist()
        angle = math.acos(sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b))
        left, right = math.sin(0.7 * angle) / math.sin(angle), math.sin(0.3 * angle) / math.sin(angle)
        wanted = torch.tensor([left * x + right * y for x, y in zip(a, b, strict=True)], dtype=torch.float64)
        assert torch.equal(found[name].flatten(), wanted.to(first[name].dtype))
    torch.testing.assert_close(slerp(first, second, 0.0), first)
    torch.testing.assert_close(slerp(first, second, 1.0), second)


@pytest.mark.parametrize("other", [2.0, -1.0, 0.0])
def test_where_there_is_no_arc_slerp_is_the_straight_line(other):
    first = {"a": torch.tensor([1.0, 2.0])}
    torch.testing.assert_close(slerp(first, {"a": other * first["a"]}, 0.25)["a"], (0.75 + 0.25 * other) * first["a"])


def test_what_is_equal_stays_to_the_bit():
    alike = weights(0)
    for found in (average([alike] * 3, [0.1, 0.7, 0.2]), slerp(alike, alike, 0.37)):
        assert all(torch.equal(found[name], alike[name]) for name in alike)


def test_whole_numbers_stay_if_they_agree():
    counts = torch.tensor([1, 2])
    assert torch.equal(average([weights(0, n=counts), weights(1, n=counts)], [0.5, 0.5])["n"], counts)
    with pytest.raises(ConfigError, match="n holds whole numbers that differ"):
        average([weights(0, n=counts), weights(1, n=counts + 1)], [0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": Static(normalize=False)}, "encoder.normalize is True and False"),
        ({"architecture": {"config": {"heads": 2, "dtype": "bf16"}}}, "config.heads is 1 and 2"),
        ({"reading": {"words": 2}}, "other tokenizers"),
        ({"weights": {"a": torch.zeros(2)}}, r"a is of shape \(3,\) and of shape \(2,\)"),
        ({"weights": {"a": torch.zeros(3), "c": torch.zeros(1)}}, r"c is missing and of shape \(1,\)"),
    ],
)
def test_models_that_are_not_alike_are_refused(change, says):
    first = {
        "name": "x",
        "recipe": Static(normalize=True),
        "architecture": {"config": {"heads": 1}},
        "reading": {"words": 1},
        "weights": {"a": torch.zeros(3)},
    }
    check_alike(
        [
            ModelToMerge(**first),
            ModelToMerge(**first | {"name": "y", "recipe": Static(dim=8, normalize=True, init="minilm")}),
        ]
    )
    with pytest.raises(ConfigError, match=f"x and y cannot be merged: .*{says}"):
        check_alike([ModelToMerge(**first), ModelToMerge(**first | {"name": "y"} | change)])


def test_adapters_are_not_averaged_factor_by_factor():
    one = ModelToMerge("x", Static(dim=4), {}, {}, {"q.lora_A.weight": torch.zeros(3)})
    with pytest.raises(ConfigError, match="x holds adapters alone"):
        check_alike([one, one])


def test_two_towers_are_two_towers_whether_separate_or_frozen():
    """An import of a run with encoder.freeze=document has two towers that are called separate."""
    recipes = [Static(dim=4, separate=True), Static(dim=4, freeze="document"), Static(dim=4)]
    separate, frozen, shared = (ModelToMerge(str(n), recipe, {}, {}, {}) for n, recipe in enumerate(recipes))
    check_alike([separate, frozen])
    with pytest.raises(ConfigError, match=r"encoder\.separate is True and False"):
        check_alike([separate, shared])
