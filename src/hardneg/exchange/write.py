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

from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.dense_layers import Dense, DenseLayer, full_name
from hardneg.encoders.file_hashes import write_hashes
from hardneg.encoders.lora import Adapted
from hardneg.encoders.pooling import parts
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer import Transformer
from hardneg.encoders.transformer_tower import width_of
from hardneg.errors import ConfigError
from hardneg.exchange import layout


@dataclass(frozen=True)
class Module:
    """One link of the chain that makes a vector of a text: its type, and what writes its files."""

    type: str
    write: Callable[[Path], None]


def write(trained: Trained, folder: Path) -> None:
    """Write the encoder into an empty folder, so that `encode_query` and `encode_document` give our vectors.

    Prompts, longest lengths and special tokens are ours. One tower is a plain chain, its Hugging Face files at the top.
    Two towers are a `Router` (sentence-transformers >= 5). A transformer whose queries and documents differ in their
    longest length says so by `query_length` (>= 6). A static tower in that case is a `Router` too, for its only place
    for a length is the tokenizer. `encode`, which does not know the side, sets no prompt and cuts as for documents.

    Raises `ConfigError` for an encoder that sentence-transformers has no module for.
    """
    recipe = trained.recipe
    settings = {
        "model_type": "SentenceTransformer",
        "prompts": {QUERY: recipe.query.prompt, DOCUMENT: recipe.document.prompt},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine" if recipe.unit_vectors else "dot",
    }
    write_json(folder / layout.SETTINGS, settings)
    chains = {side: _chain(trained, side) for side in (QUERY, DOCUMENT)}
    if is_routed(recipe):
        _write_routes(chains, folder)
    else:
        _write_chain(chains[DOCUMENT], folder)
    write_hashes(folder)


def is_routed(recipe: EncoderRecipe) -> bool:
    """Whether an export has a chain of modules for each side, behind a `Router`."""
    lengths_differ = recipe.query.longest != recipe.document.longest
    return recipe.two_towers or (isinstance(recipe, Static) and lengths_differ)


def _chain(trained: Trained, side: str) -> list[Module]:
    recipe, tower = trained.recipe, trained.towers.tower(side)
    if isinstance(recipe, Static):
        if tower.unknown is not None and not recipe.unit_vectors:
            raise ConfigError(
                "sentence-transformers averages unknown words, which this encoder leaves out, as model2vec does; only"
                " vectors of length 1 (normalize) are the same in both"
            )
        length = getattr(recipe, side).longest
        chain = [Module("StaticEmbedding", partial(_write_static, tower, trained.tokenizer, length))]
    elif isinstance(recipe, Transformer):
        check_known(recipe)
        modes = [layout.POOLING_MODES[part] for part in parts(recipe.pooling)]
        flags: dict[str, Any] = {flag: mode in modes for mode, flag in layout.POOLING_FLAGS.items()}
        if modes != [mode for mode in layout.POOLING_FLAGS if mode in modes]:
            flags = {"pooling_mode": modes}  # flags, which every version reads, have one order
        pooling = {
            "word_embedding_dimension": width_of(tower.model),
            **flags,
            "include_prompt": recipe.include_prompt is not False,
        }
        chain = [
            Module("Transformer", partial(_write_transformer, tower, trained.tokenizer, recipe)),
            Module("Pooling", partial(_write_config, pooling)),
            *(
                Module("Dense", partial(_write_dense, spec, layer))
                for spec, layer in zip(recipe.layers_behind, tower.dense, strict=True)  # type: ignore[arg-type]
            ),
        ]
    else:
        raise ConfigError(f"encoder._target_: sentence-transformers has no module for a {type(recipe).__name__}")
    return [*chain, Module("Normalize", partial(_write_config, {}))] if recipe.unit_vectors else chain


def check_known(recipe: Transformer) -> None:
    """Raise `ConfigError` for a transformer that sentence-transformers would run otherwise than we do."""
    if recipe.bidirectional:
        raise ConfigError("encoder.bidirectional=true: sentence-transformers lets a decoder see earlier tokens only")
    if not set(parts(recipe.pooling)) <= layout.POOLING_MODES.keys():
        raise ConfigError(f"encoder.pooling={recipe.pooling}: sentence-transformers has no module for it")


def _write_chain(chain: list[Module], folder: Path) -> None:
    """The first module's files lie at the top, where Hugging Face's own classes look for them."""
    listed = []
    for place, module in enumerate(chain):
        path = f"{place}_{module.type}" if place else ""
        module.write(folder / path)
        listed.append({"idx": place, "name": str(place), "path": path, "type": layout.TYPES[module.type]})
    write_json(folder / layout.MODULES, listed)


def _write_routes(chains: Mapping[str, list[Module]], folder: Path) -> None:
    types, structure = {}, {}
    for side, chain in chains.items():
        names = [f"{side}_{place}_{module.type}" for place, module in enumerate(chain)]
        for name, module in zip(names, chain, strict=True):
            module.write(folder / name)
            types[name] = layout.TYPES[module.type]
        structure[side] = names
    router = {"types": types, "structure": structure, "parameters": {"default_route": DOCUMENT}}
    write_json(folder / layout.ROUTER, router)
    write_json(folder / layout.MODULES, [{"idx": 0, "name": "0", "path": "", "type": layout.TYPES["Router"]}])


def _write_transformer(tower: Tower, tokenizer: Tokenizer, recipe: Transformer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = tower.model.merged() if isinstance(tower.model, Adapted) else tower.model
    model.config._name_or_path = ""  # where the weights came from is a path of this machine
    model.save_pretrained(folder)
    query, document = recipe.query.longest, recipe.document.longest
    longest = max(query, document)
    lengths = {} if query == document else {"query_length": query, "document_length": document}
    about: dict[str, Any] = {"max_seq_length": longest, "do_lower_case": False, **lengths}
    if "add_pooling_layer" in inspect.signature(type(model)).parameters:
        about["model_args"] = {"add_pooling_layer": False}  # we have none, and transformers would warn of a random one
    write_json(folder / layout.TRANSFORMER, about)
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    padding = _padding_token(copy)
    copy.enable_padding(pad_id=copy.token_to_id(padding), pad_token=padding)
    copy.save(str(folder / "tokenizer.json"))
    of_tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is
        "model_max_length": longest,
        "model_input_names": ["input_ids", "attention_mask"],  # what our towers read: no segments
        "padding_side": "right",
        "pad_token": padding,
        "clean_up_tokenization_spaces": False,
        **_last_token(tokenizer, recipe),
    }
    write_json(folder / "tokenizer_config.json", of_tokenizer)


def _padding_token(tokenizer: Tokenizer) -> str:
    """Name a token to pad with, which nobody attends to: the tokenizer's own, else one that is no word.

    One that it does not have would be added to it, with a number that the model has no embedding for (GPT-2).
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    said = (tokenizer.padding or {}).get("pad_token", "[PAD]")
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    unknown = getattr(tokenizer.model, "unk_token", None)
    rarest = max(vocabulary, key=vocabulary.__getitem__)
    return next(token for token in (said, *special, unknown, rarest) if token in vocabulary)


def _last_token(tokenizer: Tokenizer, recipe: Transformer) -> dict[str, str]:
    """Name the token that ends every text, where prompts are not pooled: it is no part of a prompt's length."""
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
        table[left_out] = 0  # which leaves it out of a vector's direction
    save_file({"embedding.weight": table}, folder / layout.WEIGHTS)
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(length)
    copy.save(str(folder / "tokenizer.json"))


def _write_dense(spec: Dense, layer: DenseLayer, folder: Path) -> None:
    from safetensors.torch import save_file

    about = {
        "in_features": layer.linear.in_features,
        "out_features": spec.out_features,
        "bias": spec.bias,
        "activation_function": full_name(spec.activation),
        **({"use_residual": True} if spec.residual else {}),  # versions before 5.7 stumble over the key
    }
    _write_config(about, folder)
    weights = {name: value.detach().float().contiguous() for name, value in layer.state_dict().items()}
    save_file(weights, folder / layout.WEIGHTS)


def _write_config(values: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", values)


def write_json(path: Path, value: Any) -> None:
    """Write one file of settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
