"""Merging encoders of one architecture into one: the mean of their weights, or a point on the arc between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.differences import differences
from hardneg.encoders.purposes import Purpose, with_purpose
from hardneg.errors import ConfigError

# Entries of a model's config that affect nothing; `empty` is of static tables, and absent from the oldest. `use_cache`
# is set when any model is loaded, and lost where a checkpoint is read whose config has no such entry (MPNet).
NO_SHAPE = (
    *("_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures", "empty"),
    "use_cache",
)
PARALLEL = 1e-4  # an angle below which the arc is the straight line, to float32's precision

Weights = Mapping[str, Tensor]


def average(models: Sequence[Weights], shares: Sequence[float]) -> dict[str, Tensor]:
    """Return the weighted mean of each tensor; `shares` sum to 1.

    Sums are in float64 and rounded once. Equal shares of runs that differ in seed or settings are a uniform soup
    (Wortsman et al. 2022, arXiv:2203.05482). Raises `ConfigError` for tensors of whole numbers that differ.
    """
    return {name: _mean(name, [model[name] for model in models], shares) for name in models[0]}


def _mean(name: str, tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    first = tensors[0]
    if all(torch.equal(first, other) for other in tensors[1:]):
        return first.clone()  # to the bit, as frozen documents must stay
    if not first.is_floating_point():
        raise ConfigError(f"{name} holds whole numbers that differ between the models; they cannot be averaged")
    total = torch.zeros_like(first, dtype=torch.float64)
    for tensor, share in zip(tensors, shares, strict=True):
        total += share * tensor.double()
    return total.to(first.dtype)


def slerp(first: Weights, second: Weights, share: float) -> dict[str, Tensor]:
    """Return, tensor by tensor, the point that lies `share` of the way from the first to the second on the arc.

    Each tensor is taken as one vector (Shoemake 1985, "Animating rotation with quaternion curves"). The angle is that
    of the directions; lengths are interpolated along. Parallel tensors, and those of length 0, take the straight line.
    """
    return {name: _arc(name, tensor, second[name], share) for name, tensor in first.items()}


def _arc(name: str, first: Tensor, second: Tensor, share: float) -> Tensor:
    a, b = first.double().flatten(), second.double().flatten()
    lengths = a.norm() * b.norm()
    if not first.is_floating_point() or lengths == 0 or torch.equal(first, second):
        return _mean(name, [first, second], [1 - share, share])
    angle = torch.arccos((a @ b / lengths).clamp(-1, 1))
    if angle < PARALLEL or torch.pi - angle < PARALLEL:
        return _mean(name, [first, second], [1 - share, share])
    parts = torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b
    return (parts / torch.sin(angle)).view_as(first).to(first.dtype)


@dataclass(frozen=True)
class ModelToMerge:
    """What is merged: its name for messages, what decides its vectors, and its weights."""

    name: str
    recipe: EncoderRecipe
    architecture: Mapping[str, Any]  # what its recipe rebuilds it from
    reading: object  # what determines the tokens of a text
    weights: Weights


def check_alike(models: Sequence[ModelToMerge]) -> None:
    """Raise `ConfigError`, naming the first difference, unless the models embed alike but for their weights."""
    first = models[0]
    for other in models[1:]:
        found = _difference(first, other)
        if found is not None:
            raise ConfigError(f"{first.name} and {other.name} cannot be merged: {found}")
    if any(".lora_" in key for key in first.weights):
        raise ConfigError(
            f"{first.name} holds adapters alone, and a mean of their factors is not the mean of what they do: hardneg"
            " export each run, which works them into the weights, and merge the exported folders"
        )


def _difference(first: ModelToMerge, other: ModelToMerge) -> str | None:
    kinds = [type(model.recipe).__name__ for model in (first, other)]
    if kinds[0] != kinds[1]:
        return f"they are encoders of two kinds, {kinds[0]} and {kinds[1]}"
    ignored = with_purpose(first.recipe, Purpose.START)
    if first.recipe.two_towers == other.recipe.two_towers:  # `freeze` makes two as well
        ignored.add("separate")
    for key, (before, after) in differences(first.recipe, other.recipe).items():
        if key not in ignored:
            return f"encoder.{key} is {before!r} and {after!r}"
    if found := _unlike("", first.architecture, other.architecture):
        return found
    if first.reading != other.reading:
        return "they have other tokenizers"
    for key in sorted({*first.weights, *other.weights}):
        shapes = [f"of shape {tuple(m.weights[key].shape)}" if key in m.weights else "missing" for m in (first, other)]
        if shapes[0] != shapes[1]:
            return f"{key} is {shapes[0]} and {shapes[1]}"
    return None


def _unlike(where: str, first: Any, other: Any) -> str | None:
    """Name the first place where two nested values differ."""
    if not (isinstance(first, Mapping) and isinstance(other, Mapping)):
        return None if first == other else f"{where} is {first!r} and {other!r}"
    for key in [*first, *(key for key in other if key not in first)]:
        place = f"{where}.{key}" if where else str(key)
        if key not in NO_SHAPE and (found := _unlike(place, first.get(key), other.get(key))):
            return found
    return None
