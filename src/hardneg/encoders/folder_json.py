"""The small JSON files beside a model's weights: reading one, and the kind of model that a config.json names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardneg.errors import ConfigError

CLASSIFIER = "ForSequenceClassification"  # how the architecture of a cross-encoder ends, in config.json


def read_json(path: Path) -> Any:
    """Read a file of settings; None where it does not exist, `ConfigError` where it is not JSON."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON ({error})") from error


def says_model2vec(folder: Path) -> bool:
    """Whether a folder's config.json says that model2vec wrote it."""
    return (read_json(folder / "config.json") or {}).get("model_type") == "model2vec"


def says_classifier(architectures: Sequence[str] | None) -> bool:
    """Whether the `architectures` of a config.json say that the model scores pairs, as a cross-encoder does."""
    return str((architectures or [""])[0]).endswith(CLASSIFIER)
