"""A cross-encoder: one score for a query and a document read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hardneg.data.tokens import UNCUT
from hardneg.encoders.encode import AUTO, check_tokens
from hardneg.encoders.file_hashes import check_hashes, write_hashes
from hardneg.encoders.folder_json import read_json, says_classifier
from hardneg.encoders.model_folder import ModelFolder, check_positions, lower, positions_of
from hardneg.encoders.pair_folder import PairSettings, pair_settings
from hardneg.encoders.pair_tokens import PairTokenizer
from hardneg.encoders.pretrained import (
    check_loaded,
    check_rows,
    check_words,
    loading_arguments,
    locate,
    name_of,
    unavailable,
    without_load_report,
)
from hardneg.encoders.text_model import check_layers, keep_layers
from hardneg.errors import ConfigError

PAIR_LENGTH = 256  # tokens; where neither config nor folder sets a maximum length
HEADS = ("classifier.", "score.", "pre_classifier.")  # where classifiers have weights that a language model lacks
SAVED_BY_SENTENCE_TRANSFORMERS = ("sentence_transformers", "sbert_ce_default_activation_function")  # in config.json


class CrossEncoder(nn.Module):
    """Any `AutoModelForSequenceClassification` over (query, document) pairs of at most `max_length` tokens.

    `auto` takes the length that a folder of ours or of sentence-transformers was saved with, and 256 of any other;
    `prompt` is put in front of each query.

    A model with one label scores by its logit, one with two by their difference (relevant is the second, as in
    monoBERT, arXiv:1901.04085). Weights without a classifier, as of a pretrained language model, get a fresh one.

    Raises `ConfigError` for a model with more than two labels.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int, prompt: str = "") -> None:
        super().__init__()
        self.max_length = max_length
        labels = model.config.num_labels  # type: ignore[union-attr]
        if labels not in (1, 2):
            raise ConfigError(f"a cross-encoder has one label or two, this model has {labels}; give another model")
        self.model, self.saved = model, tokenizer
        self.tokens = PairTokenizer(tokenizer, max_length, prompt)
        if hasattr(model, "score"):  # a decoder's head reads the last token that is no padding, as the config has it
            model.config.get_text_config().pad_token_id = self.tokens.pad_id  # type: ignore[union-attr, operator]

    @classmethod
    def load(
        cls,
        model: str,
        max_length: int | str,
        layers: int | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        trained: bool = False,
    ) -> CrossEncoder:
        """Load a folder, a hub name or "minilm"; with `trained` it must have a classifier already.

        How pairs are read, as sentence-transformers says it beside a model, is followed for those that are `trained`:
        what only starts from it is trained as its own config says. Raises `ConfigError` if it is not there, is damaged,
        lacks a classifier that it must have, has positions for fewer tokens than `max_length`, or reads pairs in a way
        that is not ours.
        """
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        try:
            folder = locate(model)
            check_hashes(Path(folder))
            said = pair_settings(ModelFolder.open(model, revision).path) if trained else PairSettings()
            source = loading_arguments(revision, trust_remote_code)
            config = AutoConfig.from_pretrained(folder, **source)
            fresh = not says_classifier(config.architectures)
            if fresh:
                config.num_labels = 1
            if layers is not None:
                keep_layers(config, layers, model)
            if not torch.cuda.is_available():
                config._attn_implementation = "eager"  # see encoders.transformer_model
            with without_load_report():
                network, info = AutoModelForSequenceClassification.from_pretrained(
                    folder, config=config, dtype="float32", output_loading_info=True, **source
                )
            if trained and any(key.startswith(HEADS) for key in info["missing_keys"]):
                raise untrained(model, config.architectures)
            check_loaded(model, info, ("pooler.", *HEADS) if fresh else ())
            tokenizer = AutoTokenizer.from_pretrained(folder, **source)
        except (OSError, ValueError) as error:
            raise unavailable(model, error) from error
        check_words(model, tokenizer)
        check_rows(model, tokenizer.backend_tokenizer, network)
        _settle_padding(tokenizer, config)
        if said.lower:
            lower(tokenizer.backend_tokenizer)
        about = config.to_dict()
        length = max_length if isinstance(max_length, int) else pair_length(about, tokenizer.model_max_length, said)
        check_positions("max_length", length, positions_of(about), model)
        return cls(network, tokenizer, length, said.prompt)

    def save(self, folder: str | Path) -> None:
        """Write a folder that `load`, transformers and sentence-transformers' CrossEncoder read.

        The folder also holds the maximum length, and says that scores are logits. The weights are hashed.
        """
        self.model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}  # type: ignore[union-attr]
        self.saved.model_max_length = self.max_length
        self.model.save_pretrained(folder)  # type: ignore[operator]
        self.saved.save_pretrained(folder)
        write_hashes(Path(folder))

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


def _settle_padding(tokenizer: Any, config: Any) -> None:
    """Give a tokenizer without a padding token (GPT-2, Llama) the one that its model names, else the end-of-text token.

    Whatever reads a saved folder pads by it, and a decoder's head looks for the last token that is another: token 0,
    which it would be here, may be a word that ends a text. Only a token that is no word is taken.
    """
    named = config.get_text_config().pad_token_id
    padding = tokenizer.eos_token_id if named is None else named
    if tokenizer.pad_token is None and padding in tokenizer.added_tokens_decoder:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)


def pair_length(config: Mapping[str, Any], tokenizer_length: int, said: PairSettings) -> int:
    """The maximum length of pairs where a config leaves it to the folder: see `CrossEncoder`."""
    if said.longest is not None:
        return min(said.longest, positions_of(config) or UNCUT)
    if not any(config.get(key) for key in SAVED_BY_SENTENCE_TRANSFORMERS):
        return min(PAIR_LENGTH, positions_of(config) or PAIR_LENGTH)
    return int(min(tokenizer_length, positions_of(config) or tokenizer_length, UNCUT))


def untrained(model: str, architectures: Sequence[str] | None) -> ConfigError:
    """Explain that a model was never trained to score pairs."""
    said = f" (its config says {architectures[0]})" if architectures else ""
    other = "an encoder of single texts, take teacher=bi_encoder"
    if str((architectures or [""])[0]).endswith("ForCausalLM"):
        other = "a language model that answers yes or no, take teacher=llm"
    return ConfigError(
        f"the model {model!r} is not a cross-encoder{said}: it has no classifier, so its scores would be random; train"
        f" one by hardneg train-teacher, or, if it is {other}"
    )


def check_classifies(model: str) -> None:
    """Raise `ConfigError` for a folder that was not saved with a classifier, or whose pairs are not read as ours."""
    path = Path(name_of(model))
    if not path.is_dir():
        return
    pair_settings(path)
    architectures = (read_json(path / "config.json") or {}).get("architectures")
    if architectures and not says_classifier(architectures):
        raise untrained(model, architectures)


def check_pairs_fit(model: str, max_length: int | str) -> None:
    """Raise `ConfigError` for a folder that is not there, or has positions for fewer tokens; loads no weights."""
    path = Path(name_of(model))
    if path.is_dir() and not isinstance(max_length, str):
        check_positions("max_length", max_length, positions_of(read_json(path / "config.json") or {}), model)


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """Describes a cross-encoder to train, without loading anything.

    `model` is what it starts from, `layers` how many of its first layers are kept (null: all), `max_length` counts the
    tokens of query and document together; `tokens` and `grad_cache` are those of `EncoderRecipe`, `lr` is where
    optimizer.lr starts. `revision` is that of a hub name, `trust_remote_code` lets a model bring its own Python, which
    is run.

    Raises `ConfigError` for fewer than 8 tokens or no layer.
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    layers: int | None = None
    max_length: int = 256
    tokens: int | str | None = AUTO
    grad_cache: bool = False
    lr: float = 2e-5

    gains_from_bf16: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise ConfigError(f"encoder.max_length must be at least 8 tokens, got {self.max_length}")
        check_layers(self.layers)
        check_tokens(self.tokens)

    def check_model(self) -> None:
        """Raise `ConfigError` for a folder that is not there, or has positions for fewer tokens; loads no weights."""
        check_pairs_fit(self.model, self.max_length)

    def build(self) -> CrossEncoder:
        """Load the starting weights."""
        return CrossEncoder.load(
            self.model, self.max_length, self.layers, self.revision, self.trust_remote_code
        ).train()
