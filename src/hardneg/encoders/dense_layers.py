"""Linear layers after the pooling, as sentence-transformers' `Dense` modules are (EmbeddingGemma has two)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from hardneg.errors import ConfigError

IDENTITY = "Identity"


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """Describes one layer: `activation`(W x + b), and x or its projection added to that with `residual`.

    `activation` is the name of a class in torch.nn that needs no argument, such as Tanh, GELU or Identity.
    `in_features` may be left out: it is then the width of the layer before.

    Raises `ConfigError` for widths below 1.
    """

    in_features: int | None = None
    out_features: int
    bias: bool = True
    activation: str = "Tanh"
    residual: bool = False

    def __post_init__(self) -> None:
        if min(1 if self.in_features is None else self.in_features, self.out_features) < 1:
            raise ConfigError(
                f"encoder.dense needs in_features and out_features of at least 1, got {self.in_features} and"
                f" {self.out_features}"
            )
        activation_of(self.activation)

    @classmethod
    def of(cls, given: DenseSpec | Mapping[str, Any]) -> DenseSpec:
        """Make one from a config's settings, as {out_features: 256, activation: Identity}.

        Raises `ConfigError` for settings that a layer does not take.
        """
        if isinstance(given, DenseSpec):
            return given
        try:
            return cls(**{str(key): value for key, value in given.items() if key != "_target_"})
        except TypeError as error:
            raise ConfigError(
                f"encoder.dense: a layer is {{out_features: 256, activation: Identity}}: {error}"
            ) from error

    def fits(self, other: DenseSpec) -> bool:
        """Whether it describes the same layer, where one of the two may leave `in_features` out."""
        width = self.in_features if other.in_features is None else other.in_features
        return self.behind(width) == other.behind(width)

    def behind(self, width: int | None) -> DenseSpec:
        """The same, with `in_features` filled in if it was left out."""
        return replace(self, in_features=width) if self.in_features is None else self

    def build(self, width: int) -> DenseLayer:
        """Make the layer for vectors of this width, with random weights."""
        return DenseLayer(self.behind(width))


class DenseLayer(nn.Module):
    """One layer; the names of its weights are those of sentence-transformers."""

    def __init__(self, dense: DenseSpec) -> None:
        super().__init__()
        assert dense.in_features is not None, "DenseSpec.behind() comes first"
        self.linear = nn.Linear(dense.in_features, dense.out_features, bias=dense.bias)
        self.activation = activation_of(dense.activation)()
        self.added = dense.residual
        if dense.residual and dense.in_features != dense.out_features:
            self.residual = nn.Linear(dense.in_features, dense.out_features, bias=False)

    def forward(self, x: Float[Tensor, "R D"]) -> Float[Tensor, "R E"]:
        """Project each row, in the type of the weights (or what autocast makes of it)."""
        x = x.to(self.linear.weight.dtype)
        projected = self.activation(self.linear(x))
        if not self.added:
            return projected
        return projected + (self.residual(x) if hasattr(self, "residual") else x)


def activation_of(name: str) -> type[nn.Module]:
    """Return the class of torch.nn that a layer's activation names; raises `ConfigError` where there is none."""
    found = nn.Identity if name == IDENTITY else getattr(nn.modules.activation, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(f"encoder.dense: torch.nn has no activation {name!r}; take Tanh, GELU, ReLU or {IDENTITY}")
    return found


def full_name(activation: str) -> str:
    """Where torch has an activation, as sentence-transformers writes it."""
    made = activation_of(activation)
    return f"{made.__module__}.{made.__qualname__}"


def in_a_row(layers: Sequence[DenseSpec], width: int) -> nn.Sequential:
    """Make the layers for vectors of `width`; raises `ConfigError` where one does not fit the one before."""
    made = []
    for layer in layers:
        if layer.in_features not in (None, width):
            raise ConfigError(f"encoder.dense: a layer takes vectors of {layer.in_features}, and gets those of {width}")
        made.append(layer.build(width))
        width = layer.out_features
    return nn.Sequential(*made)


def alike(one: Sequence[DenseSpec], other: Sequence[DenseSpec]) -> bool:
    """Whether two descriptions mean the same layers."""
    return len(one) == len(other) and all(a.fits(b) for a, b in zip(one, other, strict=True))


def load_dense(layers: nn.Sequential, folders: Sequence[Path]) -> None:
    """Give each layer the weights in its folder; raises `ConfigError` where these are missing."""
    from safetensors.torch import load_file

    for layer, folder in zip(layers, folders, strict=True):
        safe, old = folder / "model.safetensors", folder / "pytorch_model.bin"
        try:
            weights = load_file(safe) if safe.is_file() else torch.load(old, map_location="cpu", weights_only=True)
            layer.load_state_dict({name: value.float() for name, value in weights.items()})
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"{folder}: no weights of its Dense layer ({str(error).splitlines()[0]})") from error
