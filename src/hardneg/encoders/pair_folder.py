"""What sentence-transformers' files in a cross-encoder's folder say: how long pairs are, their prompt, their case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardneg.encoders.sentence_transformers_folder import ModuleChain
from hardneg.errors import ConfigError

LOGITS = {"method": "forward", "method_output_name": "logits"}  # how a classifier reads a pair, unless it says
CROSS_ENCODER = "CrossEncoder"  # what the settings call one


@dataclass(frozen=True)
class PairSettings:
    """How a folder wants pairs to be read.

    `longest` is the most tokens of a pair (null: nothing is said), `prompt` is put in front of each query, and with
    `lower` texts are lower-cased.
    """

    longest: int | None = None
    prompt: str = ""
    lower: bool = False


def pair_settings(folder: Path) -> PairSettings:
    """Read what versions of sentence-transformers that list a cross-encoder's modules, as 6 does, save beside it.

    Nothing is said by a folder without that list, or with that of an encoder, whose weights a cross-encoder may start
    from. Raises `ConfigError` for a cross-encoder of other modules than a classifier, and for one that reads pairs in a
    way that is not ours, such as by a chat template.
    """
    modules = ModuleChain.read(folder)
    if modules is None:
        return PairSettings()
    if not modules.classifies:
        _check_modules(modules)
        return PairSettings()
    modules.first.check_reading(LOGITS, "scores")
    return PairSettings(modules.first.longest, modules.prompts.default, modules.first.lowers)


def _check_modules(modules: ModuleChain) -> None:
    if modules.settings.get("model_type") != CROSS_ENCODER:
        return
    asked = "; a language model that answers yes or no is given by teacher=llm" if "LogitScore" in modules.names else ""
    raise ConfigError(
        f"{modules.folder}: its scores are made by the modules {', '.join(modules.names)}, and hardneg's cross-encoders"
        f" are a Transformer that classifies (AutoModelForSequenceClassification) alone{asked}"
    )
