"""Writing a trained encoder as a sentence-transformers folder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hardneg.encoders import sentence_transformers_names as names
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.dense_layers import DenseLayer, DenseSpec, full_name
from hardneg.encoders.file_hashes import write_hashes
from hardneg.encoders.lora import Adapted
from hardneg.encoders.pooling import parts, pooling
from hardneg.encoders.static import Static, StaticTower
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer import Transformer
from hardneg.encoders.transformer_tower import TransformerTower, width_of
from hardneg.errors import ConfigError


@dataclass(frozen=True)
class Module:
    """One module of the chain that turns a text into a vector: its type, and the function that writes its files."""

    type: str
    write: Callable[[Path], None]


def write(trained: Trained, folder: Path) -> None:
    """Write the encoder into an empty folder, so that `encode_query` and `encode_document` give our vectors.

    Prompts, maximum lengths and special tokens are kept. One tower becomes a plain chain, with its Hugging Face files
    at the top level. Two towers become a `Router` (sentence-transformers >= 5). A transformer with different maximum
    lengths for queries and documents uses `query_length` (>= 6). A static tower with different lengths becomes a
    `Router` too, because its length can only be stored in the tokenizer. `encode`, which does not know the side, uses
    no prompt and truncates as for documents.

    Raises `ConfigError` for an encoder that sentence-transformers has no module for.
    """
    recipe = trained.recipe
    settings = {
        "model_type": "SentenceTransformer",
        "prompts": {QUERY: recipe.query.prompt, DOCUMENT: recipe.document.prompt},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine" if recipe.unit_vectors else "dot",
    }
    write_json(folder / names.SETTINGS, settings)
    chains = {side: _chain(trained, side) for side in (QUERY, DOCUMENT)}
    if is_routed(recipe):
        _write_routes(chains, folder)
    else:
        _write_chain(chains[DOCUMENT], folder)
    write_hashes(folder)


def is_routed(recipe: EncoderRecipe) -> bool:
    """Whether an export has a separate chain of modules for each side, behind a `Router`."""
    lengths_differ = recipe.query.longest != recipe.document.longest
    return recipe.two_towers or (isinstance(recipe, Static) and lengths_differ)


def _chain(trained: Trained, side: str) -> list[Module]:
    recipe, tower = trained.recipe, trained.towers.tower(side)
    if isinstance(recipe, Static) and type(tower) is StaticTower:
        if tower.unknown is not None and not recipe.unit_vectors:
            raise ConfigError(
                "sentence-transformers averages unknown words too, which this encoder leaves out, as model2vec does;"
                " only normalised vectors are the same in both: train it with encoder.normalize=true"
            )
        length = getattr(recipe, side).longest
        chain = [Module("StaticEmbedding", partial(_write_static, tower, trained.tokenizer, length))]
    elif isinstance(recipe, Transformer) and type(tower) is TransformerTower:
        check_known(recipe)
        if tower.pool != pooling(recipe.pooling):  # of a recipe of somebody's own
            raise ConfigError(f"encoder._target_: sentence-transformers has no pooling as {_kind(recipe)} has it")
        modes = [names.POOLING_MODES[part] for part in parts(recipe.pooling)]
        flags: dict[str, Any] = {flag: mode in modes for mode, flag in names.POOLING_FLAGS.items()}
        if modes != [mode for mode in names.POOLING_FLAGS if mode in modes]:
            flags = {"pooling_mode": modes}  # flags, which every version reads, imply a fixed order
        of_pooling = {
            "word_embedding_dimension": width_of(tower.model),
            **flags,
            "include_prompt": recipe.include_prompt is not False,
        }
        chain = [
            Module("Transformer", partial(_write_transformer, tower, trained.tokenizer, recipe)),
            Module("Pooling", partial(_write_config, of_pooling)),
            *(
                Module("Dense", partial(_write_dense, spec, layer))  # type: ignore[arg-type]
                for spec, layer in zip(recipe.layers_behind, tower.dense, strict=True)
            ),
        ]
    else:
        raise ConfigError(f"encoder._target_: sentence-transformers has no module for a {_kind(recipe)}")
    return [*chain, Module("Normalize", partial(_write_config, {}))] if recipe.unit_vectors else chain


def _kind(recipe: EncoderRecipe) -> str:
    """A recipe as it is called in a config, without the module where it is one of ours."""
    kind = type(recipe)
    return kind.__name__ if kind.__module__.startswith("hardneg.") else f"{kind.__module__}.{kind.__qualname__}"


def check_known(recipe: Transformer) -> None:
    """Raise `ConfigError` for a transformer that sentence-transformers would run differently."""
    if recipe.bidirectional:
        raise ConfigError("encoder.bidirectional=true: a decoder in sentence-transformers sees earlier tokens only")
    if not set(parts(recipe.pooling)) <= names.POOLING_MODES.keys():
        raise ConfigError(f"encoder.pooling={recipe.pooling}: sentence-transformers has no module for it")


def _write_chain(chain: list[Module], folder: Path) -> None:
    """Write the modules; the first one's files are at the top level, where Hugging Face's classes look for them."""
    listed = []
    for place, module in enumerate(chain):
        path = f"{place}_{module.type}" if place else ""
        module.write(folder / path)
        listed.append({"idx": place, "name": str(place), "path": path, "type": names.TYPES[module.type]})
    write_json(folder / names.MODULES, listed)


def _write_routes(chains: Mapping[str, list[Module]], folder: Path) -> None:
    types, structure = {}, {}
    for side, chain in chains.items():
        keys = [f"{side}_{place}_{module.type}" for place, module in enumerate(chain)]
        for name, module in zip(keys, chain, strict=True):
            module.write(folder / name)
            types[name] = names.TYPES[module.type]
        structure[side] = keys
    router = {"types": types, "structure": structure, "parameters": {"default_route": DOCUMENT}}
    write_json(folder / names.ROUTER, router)
    write_json(folder / names.MODULES, [{"idx": 0, "name": "0", "path": "", "type": names.TYPES["Router"]}])


def _write_transformer(tower: Tower, tokenizer: Tokenizer, recipe: Transformer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = tower.model.merged() if isinstance(tower.model, Adapted) else tower.model
    model.config._name_or_path = ""  # it would record a local path
    model.save_pretrained(folder)
    query, document = recipe.query.longest, recipe.document.longest
    longest = max(query, document)
    lengths = {} if query == document else {"query_length": query, "document_length": document}
    about: dict[str, Any] = {"max_seq_length": longest, "do_lower_case": False, **lengths}
    if "add_pooling_layer" in inspect.signature(type(model)).parameters:
        about["model_args"] = {"add_pooling_layer": False}  # else transformers warns about a random pooling layer
    write_json(folder / names.TRANSFORMER, about)
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    padding = _padding_token(copy)
    copy.enable_padding(pad_id=copy.token_to_id(padding), pad_token=padding)
    copy.save(str(folder / "tokenizer.json"))
    of_tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # uses tokenizer.json unchanged
        "model_max_length": longest,
        "model_input_names": ["input_ids", "attention_mask"],  # the inputs of our towers: no token types
        "padding_side": "right",
        "pad_token": padding,
        "clean_up_tokenization_spaces": False,
        **_last_token(tokenizer, recipe),
    }
    write_json(folder / "tokenizer_config.json", of_tokenizer)


def _padding_token(tokenizer: Tokenizer) -> str:
    """Name a token to pad with, which is never attended to: the tokenizer's own, or else one that is not a word.

    A token that the tokenizer lacks would be added to it, with an id that the model has no embedding for (GPT-2).
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    said = (tokenizer.padding or {}).get("pad_token", "[PAD]")
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    unknown = getattr(tokenizer.model, "unk_token", None)
    rarest = max(vocabulary, key=vocabulary.__getitem__)
    return next(token for token in (said, *special, unknown, rarest) if token in vocabulary)


def _last_token(tokenizer: Tokenizer, recipe: Transformer) -> dict[str, str]:
    """Name the token that ends every text, if prompts are not pooled: it does not count as part of the prompt."""
    ends = tokenizer.encode("a")
    if recipe.include_prompt is not False or ends.special_tokens_mask[-1:] != [1]:
        return {}
    return {"sep_token": ends.tokens[-1]}


def _write_static(tower: Tower, tokenizer: Tokenizer, length: int, folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    table = tower.embedding.weight.detach().contiguous()  # type: ignore[union-attr, operator]
    if (left_out := tower.beside_weights.get("unknown")) is not None:
        table = table.clone()
        table[left_out] = 0  # so that it does not change a vector's direction
    save_file({"embedding.weight": table}, folder / names.WEIGHTS)
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(length)
    copy.save(str(folder / "tokenizer.json"))


def _write_dense(spec: DenseSpec, layer: DenseLayer, folder: Path) -> None:
    from safetensors.torch import save_file

    about = {
        "in_features": layer.linear.in_features,
        "out_features": spec.out_features,
        "bias": spec.bias,
        "activation_function": full_name(spec.activation),
        **({"use_residual": True} if spec.residual else {}),  # versions before 5.7 fail on this key
    }
    _write_config(about, folder)
    weights = {name: value.detach().float().contiguous() for name, value in layer.state_dict().items()}
    save_file(weights, folder / names.WEIGHTS)


def _write_config(values: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", values)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file of settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
