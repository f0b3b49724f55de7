"""Reading model2vec folders: a table of token vectors, which may be quantised, and the settings for averaging them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor

from hardneg.data.tokens import UNCUT
from hardneg.encoders.folder_json import read_json, says_model2vec
from hardneg.encoders.sentence_transformers_folder import ModuleChain
from hardneg.encoders.sentence_transformers_names import WEIGHTS
from hardneg.errors import ConfigError

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
TABLE, ROWS, SHARES = "embeddings", "mapping", "weights"  # the table, each token's row in it, each token's weight
LONGEST = 512  # tokens per text, if the config has no `max_length`
OURS = ("StaticEmbedding", "Normalize")  # modules that add nothing to the config


@dataclass(frozen=True)
class StaticFolder:
    """Contents of a folder: a row per token, the maximum length in tokens, unit vectors or not, the unknown token."""

    table: Float[Tensor, "V D"]
    tokenizer: Tokenizer
    longest: int
    normalize: bool
    unknown: int | None


def is_model2vec(folder: Path) -> bool:
    """Whether a folder was written by `StaticModel.save_pretrained`, whose first versions wrote no modules."""
    if not (folder / CONFIG).is_file():
        return False
    modules = ModuleChain.read(folder)
    if modules is not None and not set(modules.names) <= {*OURS}:
        return False
    if modules is not None and modules.first.folder.resolve() != folder.resolve():
        return False
    if (folder / WEIGHTS).is_file():
        return TABLE in names_of(folder / WEIGHTS)
    return says_model2vec(folder)


def read_model2vec(folder: Path) -> StaticFolder:
    """Read the vectors that `StaticModel.encode` averages, combined into one row per token.

    Texts are truncated to `max_length` tokens, and unknown tokens are then left out. (model2vec first truncates a text
    to `max_length` times the median token length, in characters, which few texts exceed.) Raises `ConfigError` for a
    file that is missing or damaged, and for numbers of rows and tokens that do not match.
    """
    for name in (WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}; save it again with model2vec (StaticModel.save_pretrained)")
    config: Any = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise ConfigError(f"{folder / CONFIG}: this is not a model's config; save the model again with model2vec")
    tokenizer = read_tokenizer(folder / TOKENIZER)
    table = folded(folder / WEIGHTS, tensors_of(folder / WEIGHTS))
    if len(table) != tokenizer.get_vocab_size():
        raise ConfigError(
            f"{folder / WEIGHTS} has vectors for {len(table)} tokens, but {TOKENIZER} has {tokenizer.get_vocab_size()};"
            " they are not from the same model"
        )
    longest = config.get("max_length", LONGEST)
    if longest is not None and (not isinstance(longest, int) or longest < 1):
        raise ConfigError(f"{folder / CONFIG}: max_length must be a number of tokens, or null, got {longest!r}")
    return StaticFolder(table, tokenizer, longest or UNCUT, bool(config.get("normalize", False)), _unknown(tokenizer))


def folded(path: Path, weights: Mapping[str, Tensor]) -> Float[Tensor, "V D"]:
    """Return a row per token: the row of the table that it is mapped to, times its weight, in float32.

    Integers (int8) are converted without scaling, as model2vec does. Raises `ConfigError`, naming the file at `path`,
    for tensors that do not fit together.
    """
    unknown = sorted(weights.keys() - {TABLE, ROWS, SHARES})
    if TABLE not in weights or unknown or weights[TABLE].dim() != 2:
        raise ConfigError(
            f"{path}: hardneg reads one table of vectors ({TABLE}), optionally with {ROWS} and {SHARES} of its tokens,"
            f" but this file holds {', '.join(sorted(weights)) or 'nothing'}"
        )
    table = weights[TABLE].float()
    if (rows := weights.get(ROWS)) is not None:
        if (
            rows.dim() != 1
            or rows.is_floating_point()
            or (len(rows) and not 0 <= rows.min() <= rows.max() < len(table))
        ):
            raise ConfigError(f"{path}: {ROWS} refers to rows outside the table, which has {len(table)}")
        table = table[rows.long()]
    if (shares := weights.get(SHARES)) is not None:
        if shares.shape != (len(table),):
            raise ConfigError(f"{path}: {SHARES} has {len(shares)} tokens, but there are vectors for {len(table)}")
        table = table * shares.float().unsqueeze(1)
    return table.contiguous()


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer; raises `ConfigError` for a file that is not one."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no specific exception for it
        raise ConfigError(f"{path} is not a tokenizer ({next(iter(str(error).splitlines()), '')})") from error


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Read a file of weights; raises `ConfigError` for one that is damaged or truncated, or is not such a file."""
    from safetensors.torch import load_file

    with _intact(path):
        return load_file(path)


def names_of(path: Path) -> list[str]:
    """Read only the tensor names of a file of weights; raises `ConfigError` as `tensors_of` does."""
    from safetensors import safe_open

    with _intact(path), safe_open(path, framework="pt") as weights:
        return list(weights.keys())


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{path} is damaged, or not a file of weights ({error}); copy it again") from error


def _unknown(tokenizer: Tokenizer) -> int | None:
    """The id of the unknown token; None if the tokenizer has none."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    found = tokenizer.token_to_id(token) if token is not None else model.get("unk_id")
    return None if found is None else int(found)
