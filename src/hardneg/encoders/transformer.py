"""A transformer tower: any Hugging Face `AutoModel` with a pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from hardneg.data.tables import Texts
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.pooling import POOLINGS
from hardneg.encoders.weights import locate, unavailable
from hardneg.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Transformer(EncoderRecipe):
    """Recipe of a transformer tower.

    `model` is a folder, a hub name or "minilm". `layers` keeps only the first so many layers (null: all), which makes
    a pretrained model small enough for a CPU. `normalize` makes scores cosines; without it they are dot products.
    `attention` is transformers' name of an implementation ("sdpa", "eager", ...) or "auto".
    """

    model: str
    pooling: str = "mean"
    layers: int | None = None
    dropout: float | None = None
    attention: str = "auto"
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ConfigError(f"encoder.pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if self.layers is not None and self.layers < 1:
            raise ConfigError(f"encoder.layers must be at least 1 or null, got {self.layers}")

    def tokenizer(self, corpus: Texts, queries: Texts | None = None) -> Tokenizer:
        """Load the model's own tokenizer."""
        from transformers import AutoTokenizer

        try:
            loaded = AutoTokenizer.from_pretrained(locate(self.model))
        except (OSError, ValueError) as error:
            raise unavailable(self.model, error) from error
        if not loaded.is_fast:
            raise ConfigError(f"the model {self.model!r} has no fast tokenizer (tokenizer.json); convert it first")
        tokenizer = loaded.backend_tokenizer
        tokenizer.enable_padding(pad_id=loaded.pad_token_id or 0, pad_token=loaded.pad_token or "[PAD]")
        return tokenizer

    def build(self, tokenizer: Tokenizer) -> TransformerTower:
        """Load the pretrained weights."""
        from transformers import AutoConfig, AutoModel

        try:
            folder = locate(self.model)
            config = AutoConfig.from_pretrained(folder)
            self._adapt(config)
            config._attn_implementation = self._attention()
            # float32 masters whatever the file holds: mixed precision is the trainer's business.
            model = AutoModel.from_pretrained(folder, config=config, dtype="float32")
        except (OSError, ValueError) as error:
            raise unavailable(self.model, error) from error
        return self._tower(model)

    def architecture(self, tower: Tower) -> dict[str, Any]:
        """The model's config."""
        config = tower.model.config  # type: ignore[union-attr]
        return {"config": config.to_dict()}  # type: ignore[union-attr, operator]

    def rebuild(self, architecture: dict[str, Any]) -> TransformerTower:
        """Make a model of that config with random weights."""
        from transformers import AutoConfig, AutoModel

        config = AutoConfig.for_model(**{**architecture["config"], "dtype": "float32"})
        config._attn_implementation = self._attention()
        return self._tower(AutoModel.from_config(config))

    def _attention(self) -> str | None:
        if self.attention != "auto":
            return self.attention
        # On short texts the fused kernel's backward is the slowest part of a CPU step (experiments/bench).
        return None if torch.cuda.is_available() else "eager"

    def _adapt(self, config: Any) -> None:
        if self.layers is not None:
            if self.layers > config.num_hidden_layers:
                raise ConfigError(f"encoder.layers={self.layers}, but {self.model!r} has {config.num_hidden_layers}")
            config.num_hidden_layers = self.layers
        if self.dropout is not None:
            for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
                if hasattr(config, key):
                    setattr(config, key, self.dropout)

    def _tower(self, model: Any) -> TransformerTower:
        # transformers hands models out in eval mode, and Lightning trains them as it finds them: without dropout
        return TransformerTower(model, self.pooling, self.normalize, self.gradient_checkpointing).train()


class TransformerTower(Tower):
    """Runs the model, pools and normalises."""

    def __init__(self, model: Any, pooling: str, normalize: bool, gradient_checkpointing: bool) -> None:
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # never used here: its parameters would get no gradient, which DDP refuses
        if gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self.model = model
        self.pool = POOLINGS[pooling]
        self.normalize = normalize
        self.dim = model.config.hidden_size

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = self.pool(hidden, attention_mask)
        return F.normalize(pooled, dim=-1) if self.normalize else pooled
