"""A cross-encoder: one score for a query and a document read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn

from hardneg.encoders.encode import AUTO, check_tokens
from hardneg.encoders.pretrained import locate, unavailable, without_load_report
from hardneg.errors import ConfigError
from hardneg.matrix.batch import Tokens


@dataclass(frozen=True)
class PairTokens(Tokens):
    """Token ids of (query, document) pairs; `segments` says which of the two a token belongs to, if the model asks."""

    segments: Int[Tensor, "R L"] | None = None

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What a cross-encoder takes."""
        return self.input_ids, self.attention_mask, self.segments

    def part(self, rows: Tensor) -> PairTokens:
        """Take these rows (CPU indices) and trim the padding that none of them needs."""
        cut = super().part(rows)
        segments = self.segments
        if segments is not None:
            index = rows.to(segments.device, non_blocking=True)
            segments = segments[index, : cut.input_ids.shape[1]]
        return PairTokens(cut.input_ids, cut.attention_mask, cut.lengths, segments)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairTokens:
        """Move all but `lengths`."""
        moved = cast(PairTokens, super().to(device, non_blocking))
        if moved.segments is None:
            return moved
        return replace(moved, segments=moved.segments.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PairTokens:
        """Pin what moves."""
        pinned = cast(PairTokens, super().pin_memory())
        return pinned if pinned.segments is None else replace(pinned, segments=pinned.segments.pin_memory())


class PairTokenizer:
    """Makes tokens of (query, document) pairs; the longer of the two texts is cut first."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")
        self.pad_id = tokenizer.pad_token_id or 0
        self.reads_segments = "token_type_ids" in tokenizer.model_input_names

    def __call__(self, queries: Sequence[str], docs: Sequence[str]) -> PairTokens:
        """Tokenise at least one pair."""
        encoded = self.tokenizer.encode_batch_fast(list(zip(queries, docs, strict=True)))
        lengths = torch.tensor([len(one) for one in encoded])
        ids = torch.full((len(encoded), int(lengths.max())), self.pad_id)
        segments = torch.zeros_like(ids)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = torch.tensor(one.ids)
            segments[row, : len(one)] = torch.tensor(one.type_ids)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return PairTokens(ids, mask, lengths, segments if self.reads_segments else None)


class CrossEncoder(nn.Module):
    """Any `AutoModelForSequenceClassification` over (query, document) pairs of at most `max_length` tokens.

    A model with one label scores by its logit, one with two by their difference (relevant is the second, as in
    monoBERT, arXiv:1901.04085). Weights without a classifier, as of a pretrained language model, get a fresh one.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int) -> None:
        super().__init__()
        labels = model.config.num_labels  # type: ignore[union-attr]
        if labels not in (1, 2):
            raise ConfigError(f"a cross-encoder has one label or two, this model has {labels}; give another model")
        self.model, self.saved = model, tokenizer
        self.tokens = PairTokenizer(tokenizer, max_length)

    @classmethod
    def load(cls, model: str, max_length: int, layers: int | None = None) -> CrossEncoder:
        """Load a folder, a hub name or "minilm"; raises `ConfigError` if it is not there."""
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        try:
            folder = locate(model)
            config = AutoConfig.from_pretrained(folder)
            if not (config.architectures or [""])[0].endswith("ForSequenceClassification"):
                config.num_labels = 1
            if layers is not None:
                config.num_hidden_layers = layers
            if not torch.cuda.is_available():
                config._attn_implementation = "eager"  # see encoders.transformer
            with without_load_report():  # a fresh classifier is meant
                network = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype="float32")
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as error:
            raise unavailable(model, error) from error
        return cls(network, tokenizer, max_length)

    def save(self, folder: Any) -> None:
        """Write a folder that `load`, transformers and sentence-transformers' CrossEncoder read."""
        self.model.save_pretrained(folder)  # type: ignore[operator]
        self.saved.save_pretrained(folder)

    def forward(
        self,
        input_ids: Int[Tensor, "R L"],
        attention_mask: Bool[Tensor, "R L"],
        segments: Int[Tensor, "R L"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Score each pair, on the model's device, in float32."""
        device = next(self.parameters()).device
        more = {} if segments is None else {"token_type_ids": segments.to(device)}
        logits = self.model(
            input_ids=input_ids.to(device), attention_mask=attention_mask.to(device), **more
        ).logits.float()
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """Describes a cross-encoder to train, without loading anything.

    `model` is what it starts from, `layers` keeps only the first so many, `max_length` counts the tokens of query and
    document together; `tokens` and `grad_cache` are those of `EncoderRecipe`, `lr` is where optimizer.lr starts.
    """

    model: str
    layers: int | None = None
    max_length: int = 256
    tokens: int | str | None = AUTO
    grad_cache: bool = False
    lr: float = 2e-5

    gains_from_bf16: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise ConfigError(f"encoder.max_length must be at least 8 tokens, got {self.max_length}")
        if self.layers is not None and self.layers < 1:
            raise ConfigError(f"encoder.layers must be at least 1 or null, got {self.layers}")
        check_tokens(self.tokens)

    def build(self) -> CrossEncoder:
        """Load the starting weights."""
        return CrossEncoder.load(self.model, self.max_length, self.layers).train()
