"""Folders of adapters without a model, as peft saves them: their model is loaded, and they are merged into it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from hardneg.encoders.folder_json import read_json
from hardneg.errors import ConfigError, UserError

ADAPTERS = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
CAUSAL = "CAUSAL_LM"  # the task of a language model's adapters; the names of their weights begin with that of a head
MERGE = "merge them where they were trained (peft's merge_and_unload), and give the merged model's folder"


def base_of(folder: Path) -> tuple[str, str | None] | None:
    """Name the model, and its revision, that a folder's adapters belong to; None for a folder that holds a model.

    Raises `ConfigError` for adapters that do not name their model.
    """
    about = None if (folder / "config.json").is_file() else read_json(folder / ADAPTERS)
    if about is None:
        return None
    base = about.get("base_model_name_or_path")
    if not base:
        raise ConfigError(
            f"{folder / ADAPTERS} names no base_model_name_or_path, the model that its adapters belong to"
        )
    return str(base), about.get("revision") or None


def model_class(folder: Path, otherwise: Any) -> Any:
    """The class of transformers that the base is loaded as, so that the names of the adapters match its weights."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM if _for_causal(folder) else otherwise


def merged(model: Any, folder: Path, cut: bool = False) -> Any:
    """Load a folder's adapters into their model, merge them, and return the model without a language model's head.

    `cut` says that upper layers of the model were left out; their adapters are left out too.

    Raises `UserError` without peft, and `ConfigError` for adapters that cannot be merged or are of another model.
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise UserError(f"{folder} holds adapters, which need peft: pip install 'hardneg[lora]'") from error
    there = _weights_in(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft asks transformers by an old name; what is missing is told below
            adapted = PeftModel.from_pretrained(model, str(folder))
    except (ValueError, RuntimeError, AttributeError) as error:  # the last: a task that the model's class does not have
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"the adapters in {folder} do not fit their model ({what}); {MERGE}") from error
    known = set(get_peft_model_state_dict(adapted))
    if odd := sorted(known - there if cut else known ^ there):
        raise ConfigError(
            f"the adapters in {folder} are of another model than {type(model).__name__}: {odd[0]} is"
            f" {'not one of its weights' if odd[0] in there else 'not in the file'}; {MERGE}"
        )
    whole: Any = adapted.merge_and_unload()
    whole.requires_grad_(True)  # peft freezes the weights that it adapts
    if not _for_causal(folder):
        return whole
    if whole.base_model is whole:
        raise ConfigError(f"a {type(whole).__name__} does not say which part of it is below its head; {MERGE}")
    return whole.base_model


def _for_causal(folder: Path) -> bool:
    return (read_json(folder / ADAPTERS) or {}).get("task_type") == CAUSAL


def _weights_in(folder: Path) -> set[str]:
    """The names of the adapters' weights; raises `ConfigError` where these are not LoRA, missing, or damaged."""
    from safetensors import SafetensorError, safe_open

    kind = (read_json(folder / ADAPTERS) or {}).get("peft_type")
    if kind != "LORA" or not (folder / WEIGHTS).is_file():
        what = f"no {WEIGHTS}"
        if kind != "LORA":
            what = f"adapters of the kind {kind}" if kind else "adapters without a peft_type"
        raise ConfigError(f"{folder} holds {what}, and hardneg merges LoRA in {WEIGHTS}; {MERGE}")
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{folder / WEIGHTS} is damaged ({error}); copy or download it again") from error
