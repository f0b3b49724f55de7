"""Linear layers behind the pooling, as sentence-transformers' `Dense` modules are (EmbeddingGemma has two)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from hardneg.errors import ConfigError

IDENTITY = "Identity"


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Describes one layer: `activation`(W x + b), and x or its projection added to that with `residual`.

    `activation` is the name of a class in torch.nn that needs no argument, such as Tanh, GELU or Identity.
    """

    in_features: int
    out_features: int
    bias: bool = True
    activation: str = "Tanh"
    residual: bool = False

    def __post_init__(self) -> None:
        if min(self.in_features, self.out_features) < 1:
            raise ConfigError(
                f"encoder.dense needs in_features and out_features of at least 1, got {self.in_features} and"
                f" {self.out_features}"
            )
        activation_of(self.activation)

    def build(self) -> DenseLayer:
        """Make the layer, with random weights."""
        return DenseLayer(self)


class DenseLayer(nn.Module):
    """One layer; the names of its weights are those of sentence-transformers."""

    def __init__(self, dense: Dense) -> None:
        super().__init__()
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


def in_a_row(layers: Sequence[Dense], width: int) -> nn.Sequential:
    """Make the layers behind vectors of `width`; raises `ConfigError` where one does not fit what is before it."""
    for layer in layers:
        if layer.in_features != width:
            raise ConfigError(f"encoder.dense: a layer takes vectors of {layer.in_features}, and gets those of {width}")
        width = layer.out_features
    return nn.Sequential(*(layer.build() for layer in layers))


def load_dense(layers: nn.Sequential, folders: Sequence[Path]) -> None:
    """Give the layers the weights that lie in these folders, one each; raises `ConfigError` where there are none."""
    from safetensors.torch import load_file

    for layer, folder in zip(layers, folders, strict=True):
        safe, old = folder / "model.safetensors", folder / "pytorch_model.bin"
        try:
            weights = load_file(safe) if safe.is_file() else torch.load(old, map_location="cpu", weights_only=True)
            layer.load_state_dict({name: value.float() for name, value in weights.items()})
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"{folder}: no weights of its Dense layer ({str(error).splitlines()[0]})") from error
