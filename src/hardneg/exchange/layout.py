"""What a sentence-transformers folder consists of, in the words of both sides."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardneg.errors import ConfigError

# The modules that we have. These names are those that every version of sentence-transformers reads.
TYPES = {
    name: f"sentence_transformers.models.{name}"
    for name in ("Transformer", "Pooling", "Normalize", "StaticEmbedding", "Router")
}
POOLING_MODES = {"mean": "mean", "cls": "cls", "last": "lasttoken"}  # encoder.pooling -> pooling_mode
POOLING_FLAGS = {  # how versions before 5.4 write a pooling_mode, one flag each
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
ROUTER = "router_config.json"
WEIGHTS = "model.safetensors"


@contextmanager
def export_folder(folder: Path, force: bool) -> Iterator[Path]:
    """Give a folder to write to, which takes the other's place once it is complete."""
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not force:
        raise ConfigError(f"{folder} is not empty; choose another folder, or give --force to replace an export")
    if used and not (folder / MODULES).is_file():
        raise ConfigError(f"{folder} holds something other than an export (no {MODULES}); choose another folder")
    target = folder.resolve()
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if target.exists():
            shutil.rmtree(target)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
