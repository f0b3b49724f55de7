"""How the first module of a sentence-transformers folder, a Hugging Face model, reads texts: settings and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.tokens import UNCUT
from hardneg.encoders.folder_json import read_json
from hardneg.encoders.sentence_transformers_names import TRANSFORMER, TRANSFORMER_NAMES
from hardneg.errors import ConfigError

TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}  # how a Transformer reads texts, unless it says
ARGUMENTS = ("processor_kwargs", "tokenizer_args", "config_kwargs", "config_args")  # old names too
# Of loading, which sentence-transformers does by what it is called with.
LOADING = ("trust_remote_code", "code_revision", "revision", "subfolder", "token", "cache_dir", "local_files_only")
NO_MATTER = ("padding", "padding_side", "use_fast", "use_cache", "attn_implementation", "model_max_length", *LOADING)
TRUNCATES = (True, "longest_first")  # values of `truncation` that say what is done anyway


@dataclass(frozen=True)
class FirstModule:
    """The module that a text comes to first; `folder` is where its Hugging Face files are."""

    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """What sentence-transformers keeps of it beside config.json; empty where it keeps nothing."""
        found = (read_json(self.folder / name) for name in TRANSFORMER_NAMES)
        return next((settings for settings in found if settings is not None), {})

    @property
    def lowers(self) -> bool:
        """Whether texts are lower-cased before they are read."""
        return bool(self.settings.get("do_lower_case"))

    @property
    def architectures(self) -> list[str] | None:
        """The `architectures` of its config.json."""
        return (read_json(self.folder / "config.json") or {}).get("architectures")

    def max_length(self, side: str) -> int:
        """The longest length of a side, in tokens: what the folder says, else the tokenizer's; `UNCUT` where none is.

        Positions are not looked at.
        """
        return int(min(self.settings.get(f"{side}_length") or self.longest, UNCUT))

    @property
    def longest(self) -> int:
        """The longest length of whatever has none of its own, as `max_length` says it; that of pairs, too."""
        about = self.settings
        own: dict[str, Any] = about.get("processor_kwargs") or about.get("tokenizer_args") or {}
        of_tokenizer: dict[str, Any] = read_json(self.folder / "tokenizer_config.json") or {}
        said = own.get("model_max_length") or about.get("max_seq_length")
        said = said or of_tokenizer.get("model_max_length") or of_tokenizer.get("max_len")  # the latter: its old name
        return int(min(said or UNCUT, UNCUT))

    def check_reading(self, text: Mapping[str, str] = TEXT, what: str = "vectors") -> None:
        """Raise `ConfigError` where it reads texts otherwise than a Transformer does by itself.

        `text` is how it reads them then, `what` comes of it.
        """
        about = self.settings
        reads = about.get("modality_config") or {}
        calls = about.get("processing_kwargs") or {}  # those of images or a chat template change nothing for a text
        arguments = {key: about.get(key) for key in ARGUMENTS}
        arguments["processing_kwargs"] = {part: calls[part] for part in ("common", "text") if part in calls}
        other = [f"{key}.{name}" for key, values in arguments.items() for name in _names(values)]
        if reads.get("text", text) != text:
            other.append("modality_config.text")
        if "message" in reads:  # sentence-transformers makes a message of every text where it can
            other.append("modality_config.message (a chat template around each text)")
        if other:
            raise ConfigError(
                f"{self.folder / TRANSFORMER} sets {', '.join(other)}, which changes its {what}, and hardneg does"
                f" not follow it; remove it there where the {what} are to be those without it"
            )


def _names(arguments: Any) -> list[str]:
    """Names of arguments that matter, of nested ones the innermost: {"text": {"max_length": 9}} has `max_length`."""
    found: list[str] = []
    for name, value in (arguments or {}).items():
        if isinstance(value, dict):
            found += _names(value)
        elif name not in NO_MATTER and not (name == "truncation" and value in TRUNCATES):
            found.append(name)
    return found
