"""A transformer tower: any Hugging Face `AutoModel` with a pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.data.tables import Texts
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.decoder import append_eos, attend_both_ways, mark_both_ways
from hardneg.encoders.latent_attention import Latents
from hardneg.encoders.lora import LoRA
from hardneg.encoders.pooling import LATENT_ATTENTION, POOLINGS, Pooling
from hardneg.encoders.pretrained import check_loaded, locate, unavailable, without_load_report
from hardneg.errors import ConfigError

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Transformer(EncoderRecipe):
    """Recipe of a transformer tower.

    `model` is a folder, a hub name or "minilm". `layers` keeps only the first so many layers (null: all), which makes
    a pretrained model small enough for a CPU. `normalize` makes scores cosines; without it they are dot products.
    `attention` is transformers' name of an implementation ("sdpa", "eager", ...) or "auto".

    Of decoders, `append_eos` and `bidirectional` (see `encoders.decoder`), `pooling` "latent_attention" with `latents`.
    With `lora` only adapters and pooling are trained, the model itself stays, held as `dtype`; what is trained is
    float32.
    """

    model: str
    pooling: str = "mean"
    layers: int | None = None
    dropout: float | None = None
    attention: str = "auto"
    gradient_checkpointing: bool = False
    append_eos: bool = False
    bidirectional: bool = False
    latents: Latents = Latents()
    lora: LoRA | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (*POOLINGS, LATENT_ATTENTION)
        if self.pooling not in known:
            raise ConfigError(f"encoder.pooling must be one of {', '.join(known)}, got {self.pooling!r}")
        if self.layers is not None and self.layers < 1:
            raise ConfigError(f"encoder.layers must be at least 1 or null, got {self.layers}")
        if self.dtype not in DTYPES:
            raise ConfigError(f"encoder.dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.dtype != "float32" and self.adapters is None:
            raise ConfigError(
                f"encoder.dtype={self.dtype} is for weights that are not trained, and all are; set encoder.lora.r, or"
                " keep float32 and let trainer.precision decide what is computed in"
            )

    @property
    def adapters(self) -> LoRA | None:
        """The adapters that are trained in place of the model, if any."""
        return self.lora if self.lora is not None and self.lora.r is not None else None

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
        return append_eos(tokenizer, loaded.eos_token, self.model) if self.append_eos else tokenizer

    def build(self, tokenizer: Tokenizer) -> TransformerTower:
        """Load the pretrained weights."""
        return self._tower(self._pretrained())

    def architecture(self, tower: Tower) -> dict[str, Any]:
        """The model's config."""
        config = tower.model.config  # type: ignore[union-attr]
        return {"config": config.to_dict()}  # type: ignore[union-attr, operator]

    def rebuild(self, architecture: dict[str, Any]) -> TransformerTower:
        """Make a model of that config with random weights; one that adapters belong to is loaded, as in `build`."""
        from transformers import AutoConfig, AutoModel

        if self.adapters is not None:
            return self._tower(self._pretrained())
        config = AutoConfig.for_model(**{**architecture["config"], "dtype": "float32"})
        config._attn_implementation = self._attention()
        model = AutoModel.from_config(config)
        if self.bidirectional:
            mark_both_ways(model)
        return self._tower(model)

    def _pretrained(self) -> Any:
        from transformers import AutoConfig, AutoModel

        try:
            folder = locate(self.model)
            config = AutoConfig.from_pretrained(folder)
            self._adapt(config)
            config._attn_implementation = self._attention()
            # float32 masters whatever the file holds: mixed precision is the trainer's business.
            with without_load_report():
                model, info = AutoModel.from_pretrained(
                    folder, config=config, dtype=self.dtype, output_loading_info=True
                )
            check_loaded(self.model, info)
        except (OSError, ValueError) as error:
            raise unavailable(self.model, error) from error
        if self.bidirectional:
            attend_both_ways(model)
        return model

    def _attention(self) -> str | None:
        if self.attention != "auto":
            return self.attention
        # On short texts the fused kernel's backward is the slowest part of a CPU step (experiments/bench).
        return None if torch.cuda.is_available() else "eager"

    def _adapt(self, config: Any) -> None:
        config.use_cache = False  # a decoder would keep keys and values for a next token that never comes
        if self.layers is not None:
            if self.layers > config.num_hidden_layers:
                raise ConfigError(f"encoder.layers={self.layers}, but {self.model!r} has {config.num_hidden_layers}")
            config.num_hidden_layers = self.layers
        if self.dropout is not None:
            for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
                if hasattr(config, key):
                    setattr(config, key, self.dropout)

    def _tower(self, model: Any) -> TransformerTower:
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # never used here: its parameters would get no gradient, which DDP refuses
        if self.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        latent = self.pooling == LATENT_ATTENTION
        pool = self.latents.build(model.config.hidden_size) if latent else POOLINGS[self.pooling]
        if self.adapters is not None:
            model = self.adapters.adapt(model)
        # transformers hands models out in eval mode, and Lightning trains them as it finds them: without dropout
        return TransformerTower(model, pool, self.normalize).train()


class TransformerTower(Tower):
    """Runs the model, pools and normalises."""

    def __init__(self, model: nn.Module, pool: Pooling, normalize: bool) -> None:
        super().__init__()
        self.model, self.pool, self.normalize = model, pool, normalize
        self.dim = model.config.hidden_size  # type: ignore[union-attr, assignment]

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = self.pool(hidden, attention_mask)
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def blocks(self) -> list[nn.Module]:
        """The layers, by the names that transformers gives for this purpose."""
        network = getattr(self.model, "model", self.model)
        names = set(getattr(network, "_no_split_modules", None) or ())
        return [module for module in network.modules() if type(module).__name__ in names]
