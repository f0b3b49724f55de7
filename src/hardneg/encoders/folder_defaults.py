"""What a recipe leaves to the model's folder (`auto`) is taken from there, and logged in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hardneg.config.command_words import command_line
from hardneg.data.tokens import AUTO, UNCUT, Side
from hardneg.encoders.base import LENGTHS
from hardneg.encoders.folder_json import says_model2vec
from hardneg.encoders.model_folder import ModelFolder, check_positions
from hardneg.encoders.pooling import parts
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError

if TYPE_CHECKING:
    from hardneg.encoders.transformer import Transformer


def from_folder(recipe: Transformer, folder: ModelFolder) -> Transformer:
    """Replace every `auto` of a recipe by what the folder says; the recipe's own values win.

    A plain Hugging Face folder says nothing: texts are averaged, without prompts, at most 64 and 128 tokens of them,
    and made unit vectors. Raises `ConfigError` for more tokens than the model has positions, and for modules in the
    folder that we cannot run, and for `matryoshka` widths above that of the model's vectors.
    """
    modules = folder.modules
    if modules is None or recipe.leaves_open:
        check_first(folder, recipe.model)
    values: dict[str, Any] = {}
    refused: dict[str, ConfigError] = {}
    if modules is not None:
        for key, read in (
            ("pooling", modules.pooling),
            ("dense", modules.dense),
            ("normalize", modules.normalizes),
            ("include_prompt", modules.include_prompt),
        ):
            if getattr(recipe, key) == AUTO:
                try:
                    values[key] = read()
                except ConfigError as error:
                    refused[key] = error
    if refused:  # all at once, since one module that we do not have may be the reason for each
        why = "; ".join(dict.fromkeys(map(str, refused.values())))
        raise ConfigError(f"{why}; to use it in another way, set {', '.join(f'encoder.{key}' for key in refused)}")
    query, document = (_side(name, getattr(recipe, name), folder) for name in (QUERY, DOCUMENT))
    told = replace(recipe, query=query, document=document, **values).without_open()
    for side in (QUERY, DOCUMENT):
        check_positions(f"encoder.{side}.max_length", getattr(told, side).longest, folder.positions, told.model)
    told.widths(_width(told, folder))
    return told


def _width(told: Transformer, folder: ModelFolder) -> int | None:
    """The width of the vectors, as far as it is known without the weights."""
    if told.layers_behind:
        return told.layers_behind[-1].out_features
    return None if folder.width is None else folder.width * len(parts(told.pooling))


def check_first(folder: ModelFolder, model: str) -> None:
    """Raise `ConfigError` for a folder without a transformer that embeds texts, and say what to do with it."""
    modules = folder.modules
    if modules is None:
        static = says_model2vec(folder.path)
    elif modules.routes:
        raise ConfigError(
            f"{model} has separate modules for queries and for documents ({modules.names[0]}); make a checkpoint of"
            f" it, by {command_line('import', model, 'FILE.ckpt')}, and give that as init_from or ckpt_path"
        )
    else:
        if modules.classifies:
            modules.check()  # which says what it is for
        static = modules.names[0] == "StaticEmbedding"
    if static:
        raise ConfigError(
            f"{model} is a table of static embeddings, no transformer; make a checkpoint of it, by"
            f" {command_line('import', model, 'FILE.ckpt')}, and give that as ckpt_path, or as init_from with"
            " encoder=static"
        )


def _side(name: str, side: Side, folder: ModelFolder) -> Side:
    if not side.open:
        return side
    said = LENGTHS[name] if folder.modules is None else folder.modules.first.max_length(name)
    prompt = "" if folder.modules is None else folder.modules.prompts.of(name)
    return side.settled(prompt, min(said, folder.positions or UNCUT))


def said(recipe: Transformer, told: Transformer, folder: ModelFolder) -> tuple[str, str]:
    """Say what was taken from where; and in short, what from the folder, which is empty where that is nothing."""
    before, after = (_flat(one) for one in (recipe, told))
    if after["include_prompt"]:  # the default nearly everywhere
        del after["include_prompt"]
    taken = {key: value for key, value in after.items() if before[key] == AUTO}
    chosen = {key: value for key, value in after.items() if key not in taken}
    where = "plain Hugging Face, defaults" if folder.modules is None else "sentence-transformers, from its folder"
    why = {}
    if folder.modules is not None and "Normalize" not in folder.modules.names and after["normalize"]:
        named = "its similarity is cosine" if folder.modules.similarity else "cosine where a folder names no similarity"
        why["normalize"] = f" (no module of it: {named})"
    parts = [f"{where}: {_words(taken, why)}"] if taken else []
    short = "".join(f"encoder {recipe.model}: {part}" for part in parts)
    if chosen:
        parts.append(f"from the config: {_words(chosen, {})}")
    return f"encoder {recipe.model}: {'; '.join(parts)}", short


def _flat(recipe: Transformer) -> dict[str, Any]:
    own = {key: getattr(recipe, key) for key in ("pooling", "dense", "normalize", "include_prompt")}
    sides = {f"{name}.{key}": getattr(getattr(recipe, name), key) for name in (QUERY, DOCUMENT)
             for key in ("prompt", "max_length")}  # fmt: skip
    return own | sides


def _words(values: dict[str, Any], why: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {_word(key, value)}{why.get(key, '')}" for key, value in values.items())


def _word(key: str, value: Any) -> str:
    if key == "dense":
        return " ".join(f"{layer.in_features or ''}->{layer.out_features}" for layer in value) or "none"
    return (repr(value) if value else "none") if key.endswith(".prompt") else str(value).lower()
