"""The transformer below a tower, as its recipe wants it: loaded from the model's folder, or made from a config."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hardneg.encoders.adapter_folder import merged, model_class
from hardneg.encoders.decoder import attend_both_ways, mark_both_ways
from hardneg.encoders.encode import AUTO
from hardneg.encoders.file_hashes import WEIGHTS, check_hashes
from hardneg.encoders.folder_json import says_classifier
from hardneg.encoders.model_folder import ModelFolder
from hardneg.encoders.pretrained import check_loaded, loading_arguments, locate, unavailable, without_load_report
from hardneg.encoders.text_model import keep_layers, new_text_model, set_dropout, text_model, text_part
from hardneg.errors import ConfigError

if TYPE_CHECKING:
    from hardneg.encoders.transformer import Transformer

log = logging.getLogger(__name__)


def load_model(recipe: Transformer, folder: ModelFolder) -> Any:
    """Load the pretrained weights; raises `ConfigError` where they are not there, damaged, or have too few layers."""
    from transformers import AutoConfig

    check_hashes(folder.path, WEIGHTS)
    base = folder.base
    holder = folder if base is None else base
    name = locate(recipe.model) if base is None else base.name  # checks the weights of minilm, too
    try:
        config = AutoConfig.from_pretrained(name, **source_of(recipe, holder))
        _adapt(config, recipe)
        # float32 weights whatever the file holds: mixed precision is left to the trainer.
        kind = text_model(config) if base is None else model_class(folder.adapters, text_model(config))
        with without_load_report():
            model, info = kind.from_pretrained(
                name, config=config, dtype=recipe.dtype, output_loading_info=True, **source_of(recipe, holder)
            )
        check_loaded(recipe.model, info)
        if not recipe.trust_remote_code:  # whose code may take it by another name
            _check_mask(recipe.model, model)
            _warn_of_own_code(recipe.model, config, model)
        if says_classifier(config.architectures):
            log.warning(
                "the model %r is a classifier or a cross-encoder (its config says %s), whose texts are not meant to"
                " be embedded one by one; its head is left out, and what is below it is trained as an encoder",
                *(recipe.model, config.architectures[0]),
            )
    except ImportError as error:  # flash attention, or what a model's own code imports
        raise _without_package(recipe, error) from error
    except (OSError, ValueError) as error:
        raise unavailable(recipe.model, error) from error
    if base is not None:
        model = merged(model, folder.fetched_adapters(), cut=recipe.layers is not None)
        log.info("encoder %s: its adapters were merged into %s", recipe.model, name)
    model = text_part(model)
    if recipe.bidirectional:
        attend_both_ways(model)
    return model


def new_model(recipe: Transformer, written: Mapping[str, Any]) -> Any:
    """Make a model of a config that was `written` down, with random weights; its own code, if any, is loaded."""
    from transformers import AutoConfig

    written = {**written, "dtype": "float32"}
    if recipe.trust_remote_code:
        folder = open_folder(recipe)
        holder = folder.base or folder  # adapters have no config of their own
        config = AutoConfig.from_pretrained(holder.name, **source_of(recipe, holder))
        config.update(written)
    else:
        config = AutoConfig.for_model(**written)
    model = _of_config(recipe, config)
    if recipe.bidirectional:
        mark_both_ways(model)
    return model


def open_folder(recipe: Transformer) -> ModelFolder:
    """Find the model's folder, as `ModelFolder.open` does.

    Also raises `ConfigError` where adapters name a model on the hub whose code would be run without a fixed revision.
    """
    folder = ModelFolder.open(recipe.model, recipe.revision)
    base = folder.base if recipe.trust_remote_code else None
    if base is not None and base.revision is None and not Path(base.name).is_dir():
        raise ConfigError(
            f"encoder.trust_remote_code=true, and {recipe.model!r} holds adapters of {base.name!r} on the hub, whose"
            " code would be run at whatever revision is the newest; write the revision that you trust as `revision`"
            " in adapter_config.json, or a local folder as its base_model_name_or_path"
        )
    return folder


def source_of(recipe: Transformer, folder: ModelFolder) -> dict[str, Any]:
    """The arguments that transformers gets beside the folder's name."""
    return {"subfolder": folder.subfolder, **loading_arguments(folder.revision, recipe.trust_remote_code)}


def _adapt(config: Any, recipe: Transformer) -> None:
    config.use_cache = False  # a decoder would keep keys and values for a next token that never comes
    if recipe.layers is not None:
        keep_layers(config, recipe.layers, recipe.model)
    if recipe.dropout is not None:
        set_dropout(config, recipe.dropout)
    config._attn_implementation = _attention(recipe)


def _check_mask(name: str, model: Any) -> None:
    """Raise `ConfigError` for a model that reads padding like words, as FNet: the texts beside one would change it."""
    if "attention_mask" not in inspect.signature(type(model).forward).parameters:
        raise ConfigError(
            f"the model {name!r} is a {type(model).__name__}, which takes no attention_mask: padding would be read like"
            " words, and a text's vector would depend on how long the texts beside it are; give another model"
        )


def _warn_of_own_code(name: str, config: Any, model: Any) -> None:
    """Say that a model of transformers stands in for the code that a folder brings, as of gte-Qwen2 and jina's v2."""
    if own := (getattr(config, "auto_map", None) or {}).get("AutoModel"):
        log.warning(
            "the model %r comes with its own code (%s), which is not run: transformers' %s is used, whose vectors may"
            " differ; to run it, set encoder.trust_remote_code=true, or HARDNEG_TRUST_REMOTE_CODE=1 for hardneg"
            " import",
            *(name, own, type(model).__name__),
        )


def _of_config(recipe: Transformer, config: Any) -> Any:
    """Make the model; where its attention is not to be had, as on another machine than it was trained on, by auto.

    That affects no more than rounding.
    """
    config._attn_implementation = _attention(recipe)
    try:
        return new_text_model(config, recipe.trust_remote_code)
    except ImportError as error:
        if recipe.attention == AUTO:
            raise _without_package(recipe, error) from error
        log.warning("encoder.attention=%s is not available here, so auto is used: %s", recipe.attention, error)
        return _of_config(replace(recipe, attention=AUTO), config)


def _without_package(recipe: Transformer, error: ImportError) -> ConfigError:
    """Explain a package that is missing: that of a kernel, or one that a model's own code imports."""
    chosen = "" if recipe.attention == AUTO else f"; with encoder.attention={AUTO} it needs none for its attention"
    return ConfigError(f"the model {recipe.model!r} needs a package: {str(error).strip().splitlines()[0]}{chosen}")


def _attention(recipe: Transformer) -> str | None:
    if recipe.attention != AUTO:
        return recipe.attention
    # On short texts the fused kernel's backward is the slowest part of a CPU step (experiments/bench).
    return None if torch.cuda.is_available() else "eager"
