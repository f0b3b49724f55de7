"""Low-rank adapters: a few trained weights on a model that stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from hardneg.encoders.pretrained import weights_hash
from hardneg.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Describes the adapters (arXiv:2106.09685) that `peft` puts on a model; with `r` null there are none.

    `r` is their rank, `alpha` / r scales what they add, `dropout` applies to their input. `targets` are the ends of the
    names of the layers to adapt, as peft takes them, or "all-linear".

    Raises `ConfigError` for numbers out of range, no targets, and where peft is not installed.
    """

    r: int | None = None
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str | Sequence[str] = "all-linear"

    def __post_init__(self) -> None:
        if self.r is not None and self.r < 1:
            raise ConfigError(f"encoder.lora.r must be at least 1, or null for none, got {self.r}")
        if self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ConfigError(f"encoder.lora needs alpha > 0 and 0 <= dropout < 1, got {self.alpha} and {self.dropout}")
        if not self.targets:
            raise ConfigError("encoder.lora.targets names no layer; take all-linear, or set encoder.lora.r=null")
        if self.r is not None and find_spec("peft") is None:
            raise ConfigError(f"encoder.lora.r={self.r} needs peft: pip install 'hardneg[lora]', or set it to null")

    def adapt(self, model: Any) -> Adapted:
        """Freeze the model and insert adapters; only these are trained, as float32.

        Raises `ConfigError` for targets that the model does not have.
        """
        from peft import LoraConfig, inject_adapter_in_model

        base = weights_hash(model)
        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        config = LoraConfig(
            r=self.r,  # type: ignore[arg-type]
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules=targets,
        )
        try:
            model = inject_adapter_in_model(config, model.requires_grad_(False))
        except ValueError as error:
            raise ConfigError(f"encoder.lora.targets={self.targets!r}: {str(error).splitlines()[0]}") from error
        for p in model.parameters():
            if p.requires_grad:
                p.data = p.data.float()  # peft gives them the type of what they adapt
        return Adapted(model, base)


class Adapted(nn.Module):
    """A model with adapters, whose state holds the adapters, and the base only as a hash.

    So checkpoints are small, and one that meets another base than it was trained on is refused.
    """

    def __init__(self, model: Any, base: str) -> None:
        super().__init__()
        self.model, self.config, self.base = model, model.config, base
        self.frozen = tuple(name for name, p in self.named_parameters() if not p.requires_grad)
        self.register_state_dict_post_hook(_leave_out_base)
        self.register_load_state_dict_pre_hook(_keep_base)

    def forward(self, **inputs: Any) -> Any:
        """Run the model."""
        return self.model(**inputs)

    def merged(self) -> Any:
        """Return a copy of the model with the adapters added to the weights that they adapt."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        model = copy.deepcopy(self.model)
        for name, layer in [(n, m) for n, m in model.named_modules() if isinstance(m, BaseTunerLayer)]:
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())
        return model

    def get_extra_state(self) -> Tensor:
        """The hash of the base; a tensor, for checkpoints hold plain values."""
        return torch.frombuffer(bytearray.fromhex(self.base), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Raise `ConfigError` if the adapters were trained on another base."""
        if not torch.equal(state.cpu(), self.get_extra_state()):
            raise ConfigError(
                "the adapters were trained on another model than encoder.model is now (or on another encoder.dtype or"
                " encoder.layers of it); give the model that they belong to"
            )


def _leave_out_base(adapted: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in adapted.frozen:  # type: ignore[union-attr]
        state.pop(prefix + name, None)


def _keep_base(adapted: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    own = dict(adapted.named_parameters())
    for name in adapted.frozen:  # type: ignore[union-attr]
        state.setdefault(prefix + name, own[name])
