"""The recipe of a transformer tower: any Hugging Face `AutoModel` with a pooling."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from hardneg.data.tables import Texts
from hardneg.data.tokens import AUTO, Side
from hardneg.encoders.base import LENGTHS, EncoderRecipe, Tower
from hardneg.encoders.decoder import append_eos
from hardneg.encoders.dense_layers import DenseSpec, alike, load_dense
from hardneg.encoders.file_hashes import TOKENIZER, check_hashes
from hardneg.encoders.folder_defaults import from_folder, said
from hardneg.encoders.latent_attention import Latents
from hardneg.encoders.lora import LoRA
from hardneg.encoders.model_folder import ModelFolder, lower
from hardneg.encoders.pooling import LATENT_ATTENTION, POOLINGS, is_known, parts, pooling
from hardneg.encoders.pretrained import check_rows, check_words, name_of, unavailable
from hardneg.encoders.purposes import Purpose, setting
from hardneg.encoders.text_model import check_layers, save_activations
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer_model import load_model, new_model, open_folder, source_of
from hardneg.encoders.transformer_tower import TransformerTower, width_of
from hardneg.encoders.trial_text import read_trial_text
from hardneg.encoders.unpadded import attend_unpadded
from hardneg.errors import ConfigError
from hardneg.system.counts_in_words import counted
from hardneg.system.screen import ONLY_IN_FILE, in_short

log = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Transformer(EncoderRecipe):
    """Recipe of a transformer tower.

    `model` is a folder, a hub name (at a `revision`, if one is given) or "minilm"; adapters that peft saved without
    their model are merged into it (see `encoders.adapter_folder`). What a sentence-transformers folder
    says of `pooling`, `dense` (linear layers behind it), `normalize`, and of prompt and longest length of each side, is
    taken from there where they are `auto`; see `encoders.folder_defaults`. `trust_remote_code` lets a model bring its
    own Python, which is run. `layers` is how many of the first layers are kept (null: all), which
    makes a pretrained model small enough for a CPU. `normalize` makes scores cosines; without it they are dot products.
    `attention` is transformers' name of an implementation ("sdpa", "eager", ...) or "auto". With `unpad` training
    batches are computed without padding (see `encoders.unpadded`).

    With `include_prompt` false the tokens of a text's prompt, and what the tokenizer puts before them, are read but not
    averaged (INSTRUCTOR, NV-Embed; arXiv:2405.17428, section 4).

    Of decoders, `append_eos` and `bidirectional` (see `encoders.decoder`), `pooling` "latent_attention" with `latents`.
    With `lora` only adapters and pooling are trained, the model itself stays, held as `dtype`; what is trained is
    float32.

    Raises `ConfigError` for settings out of range, or that exclude each other.
    """

    model: str = field(metadata=Purpose.START.metadata)
    pooling: str = setting(AUTO, Purpose.OPEN)
    dense: str | Sequence[DenseSpec | Mapping[str, Any]] | None = setting(AUTO, Purpose.OPEN)
    normalize: bool | str = AUTO
    query: Side = Side(AUTO, AUTO)
    document: Side = Side(AUTO, AUTO)
    revision: str | None = setting(None, Purpose.START)
    trust_remote_code: bool = setting(False, Purpose.START)
    layers: int | None = setting(None, Purpose.START)
    dropout: float | None = setting(None, Purpose.TRAINING)
    attention: str = setting("auto", Purpose.ROUNDING)
    gradient_checkpointing: bool = setting(False, Purpose.TRAINING)
    unpad: bool = setting(False, Purpose.ROUNDING)
    append_eos: bool = False
    bidirectional: bool = False
    include_prompt: bool | str = setting(AUTO, Purpose.OPEN)
    latents: Latents = Latents()
    lora: LoRA | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in (AUTO, LATENT_ATTENTION) and not is_known(self.pooling):
            raise ConfigError(
                f"encoder.pooling must be one of {', '.join(POOLINGS)}, some of these with + between them,"
                f" {LATENT_ATTENTION} or auto, got {self.pooling!r}"
            )
        if isinstance(self.dense, str) and self.dense != AUTO:
            raise ConfigError(f"encoder.dense must be auto, null or a list of layers, got {self.dense!r}")
        if not isinstance(self.dense, str):
            object.__setattr__(self, "dense", tuple(DenseSpec.of(layer) for layer in self.dense or ()))
        if not isinstance(self.include_prompt, bool) and self.include_prompt != AUTO:
            raise ConfigError(f"encoder.include_prompt must be true, false or auto, got {self.include_prompt!r}")
        check_layers(self.layers)
        if self.unpad and self.attention != AUTO:
            raise ConfigError(
                f"encoder.unpad=true has an attention of its own; set encoder.attention=auto, not {self.attention}"
            )
        if self.dtype not in DTYPES:
            raise ConfigError(f"encoder.dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.dtype != "float32" and self.adapters is None:
            raise ConfigError(
                f"encoder.dtype={self.dtype} is for weights that are not trained, and all are; set encoder.lora.r, or"
                " keep float32 and let trainer.precision decide what is computed in"
            )

    @property
    def leaves_open(self) -> bool:
        """Whether something that decides the embeddings is `auto`."""
        return AUTO in (self.pooling, self.dense, self.include_prompt) or super().leaves_open

    @property
    def pools_prompt(self) -> bool:
        """Whether a prompt's tokens are pooled like all others, or the pooling takes the last token anyway."""
        return self.include_prompt is not False or self.pooling == "last"

    def resolved(self) -> Transformer:
        """Take from the model's folder what the recipe leaves open, log it, and check that lengths fit the model.

        Raises `ConfigError` for a folder that is not there, or that has what we cannot run.
        """
        folder = self._folder()
        told = from_folder(self, folder)
        if self.leaves_open:
            line, short = said(self, told, folder)
            log.info("%s", line, extra=in_short(short) if short else ONLY_IN_FILE)
        if folder.modules is not None:
            folder.modules.warn_of_width()
            for side in (QUERY, DOCUMENT):
                if getattr(self, side).prompt == AUTO:
                    folder.modules.prompts.warn(side)
        return told

    def check_model(self) -> None:
        """Raise `ConfigError` for a model whose folder is not there or does not fit; loads no weights, asks no hub."""
        if Path(name_of(self.model)).is_dir():
            from_folder(self, self._folder())

    def without_open(self) -> Transformer:
        """Return the recipe with the defaults of what it leaves open, which are those of a model that says nothing."""
        if not self.leaves_open:
            return self
        query, document = self.query.settled("", LENGTHS["query"]), self.document.settled("", LENGTHS["document"])
        return replace(
            self,
            pooling="mean" if self.pooling == AUTO else self.pooling,
            dense=self.layers_behind,
            normalize=self.unit_vectors,
            include_prompt=self.include_prompt is not False,
            query=query,
            document=document,
        )

    @property
    def layers_behind(self) -> tuple[DenseSpec, ...]:
        """The linear layers after the pooling, as far as they are known."""
        return () if self.dense is None or isinstance(self.dense, str) else tuple(map(DenseSpec.of, self.dense))

    @property
    def adapters(self) -> LoRA | None:
        """The adapters that are trained in place of the model, if any."""
        return self.lora if self.lora is not None and self.lora.r is not None else None

    def tokenizer(self, corpus: Texts, queries: Texts | None = None) -> Tokenizer:
        """Load the model's own tokenizer; raises `ConfigError` for a model without a fast one."""
        from transformers import AutoTokenizer

        folder = self._folder()
        check_hashes(folder.path, TOKENIZER)
        words = folder.words
        try:
            loaded = AutoTokenizer.from_pretrained(words.name, **source_of(self, words))
        except (OSError, ValueError) as error:
            raise unavailable(self.model, error) from error
        if not loaded.is_fast:
            raise ConfigError(f"the model {self.model!r} has no fast tokenizer (tokenizer.json); convert it first")
        check_words(self.model, loaded)
        if loaded.truncation_side == "left":
            log.warning(
                "the model %r: its tokenizer cuts long texts at their beginning (truncation_side in"
                " tokenizer_config.json), and hardneg at their end: raise encoder.query.max_length and"
                " encoder.document.max_length where texts are cut",
                self.model,
            )
        tokenizer = loaded.backend_tokenizer
        if "token_type_ids" in loaded.model_input_names and any(tokenizer.encode("a").type_ids):
            log.warning(
                "the model %r: its tokenizer puts some tokens of a text into another segment (token_type_ids), as XLNet"
                " does with the last, and hardneg does not tell its model: its vectors are not those of"
                " sentence-transformers, which does",
                self.model,
            )
        tokenizer.enable_padding(pad_id=loaded.pad_token_id or 0, pad_token=loaded.pad_token or "[PAD]")
        if folder.modules is not None and folder.modules.first.lowers:
            lower(tokenizer)
        return append_eos(tokenizer, loaded.eos_token, self.model) if self.append_eos else tokenizer

    def build(self, tokenizer: Tokenizer) -> TransformerTower:
        """Load the pretrained weights; `dense` layers that are not in the folder start random."""
        folder = self._folder()
        told = from_folder(self, folder) if self.leaves_open else self
        pretrained = load_model(self, folder)
        check_rows(self.model, tokenizer, pretrained)
        tower = told._tower(pretrained)
        if told.layers_behind and folder.modules is not None and alike(folder.modules.dense(), told.layers_behind):
            load_dense(tower.dense, folder.dense_folders(self.revision))
        elif told.layers_behind:
            log.info("encoder.dense: %s with random weights", counted(len(told.layers_behind), "new layer"))
        if not self.trust_remote_code:  # whose code may want a GPU
            read_trial_text(self.model, tower, tokenizer)
        return tower

    def architecture(self, tower: Tower) -> dict[str, Any]:
        """The model's config."""
        config = tower.model.config  # type: ignore[union-attr]
        return {"config": config.to_dict()}  # type: ignore[union-attr, operator]

    def rebuild(self, architecture: dict[str, Any]) -> TransformerTower:
        """Make a model of that config with random weights; one that adapters belong to is loaded, as in `build`.

        So is the code of a model that brings its own.
        """
        told = self.without_open()
        if self.adapters is not None:
            return told._tower(load_model(self, self._folder()))
        return told._tower(new_model(self, architecture["config"]))

    def _folder(self) -> ModelFolder:
        return open_folder(self)

    def _tower(self, model: Any) -> TransformerTower:
        if getattr(model, "pooler", None) is not None:
            # Never used here: its parameters would get no gradient, which DDP refuses. SqueezeBERT calls it all the
            # same; the code of others asks whether it is there.
            model.pooler = nn.Identity() if model.config.model_type == "squeezebert" else None
        if self.gradient_checkpointing:
            save_activations(model)
        first_position = attend_unpadded(model) if self.unpad else None
        latent = self.pooling == LATENT_ATTENTION
        pool = self.latents.build(width_of(model)) if latent else pooling(self.pooling)
        if self.adapters is not None:
            model = self.adapters.adapt(model)
        # transformers returns models in eval mode, and Lightning would train them so: without dropout
        tower = TransformerTower(model, pool, self.unit_vectors, first_position, len(parts(self.pooling)))
        tower.include_prompt = self.pools_prompt
        tower.project(self.layers_behind)
        return tower.train()
