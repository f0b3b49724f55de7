"""What a sentence-transformers folder says about how its vectors are made: pooling, layers, prompts, lengths."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.tokens import UNCUT
from hardneg.encoders.dense_layers import Dense
from hardneg.encoders.pooling import BESIDE
from hardneg.encoders.sentence_transformers_names import (
    MODULES,
    POOLING_FLAGS,
    POOLING_MODES,
    SETTINGS,
    TRANSFORMER,
    TRANSFORMER_NAMES,
)
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

PROMPT_NAMES = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}  # what a side's prompt may be called
KNOWN = ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding")
ROUTERS = ("Router", "Asym")
CLASSIFIER = "ForSequenceClassification"  # how the architecture of a cross-encoder ends, in config.json
TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}  # how a Transformer reads texts, unless it says
ARGUMENTS = ("processor_kwargs", "tokenizer_args", "config_kwargs", "config_args")  # old names too
# Of loading, which sentence-transformers does by what it is called with.
LOADING = ("trust_remote_code", "code_revision", "revision", "subfolder", "token", "cache_dir", "local_files_only")
NO_MATTER = ("padding", "padding_side", "use_fast", "use_cache", "attn_implementation", "model_max_length", *LOADING)
TRUNCATES = (True, "longest_first")  # values of `truncation` that say what is done anyway


def says_model2vec(folder: Path) -> bool:
    """Whether a folder's config.json says that model2vec wrote it."""
    return (read_json(folder / "config.json") or {}).get("model_type") == "model2vec"


def says_classifier(architectures: Sequence[str] | None) -> bool:
    """Whether the `architectures` of a config.json say that the model scores pairs, as a cross-encoder does."""
    return str((architectures or [""])[0]).endswith(CLASSIFIER)


@dataclass(frozen=True)
class ModuleChain:
    """The modules that turn a text into a vector, in order, each with its folder; and the settings of all.

    Everything is read on demand, so that a folder is refused only for what is needed of it.
    """

    folder: Path
    modules: tuple[tuple[str, Path], ...]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> ModuleChain | None:
        """Read the list of modules; None for a folder that is not sentence-transformers'.

        Raises `ConfigError` for a list that cannot be read.
        """
        listed = read_json(folder / MODULES)
        if listed is None:
            return None
        if not isinstance(listed, list) or not listed:
            raise ConfigError(f"{folder / MODULES}: no list of modules; save it again with sentence-transformers")
        modules = tuple((str(module["type"]), folder / module.get("path", "")) for module in listed)
        return cls(folder, modules, {"name": folder.name, **(read_json(folder / SETTINGS) or {})})

    @property
    def names(self) -> list[str]:
        """The modules' class names, without their packages."""
        return [short(module) for module, _ in self.modules]

    @property
    def transformer(self) -> Path:
        """The folder of the first module, where the Hugging Face files are."""
        return self.modules[0][1]

    @property
    def routes(self) -> bool:
        """Whether queries and documents go through modules of their own."""
        return self.names[0] in ROUTERS

    def check(self) -> None:
        """Raise `ConfigError` for modules that we do not have, or not in this order."""
        if self.classifies:
            raise ConfigError(
                f"{self.folder} is a cross-encoder, which reads query and document together; give it as a teacher, by"
                f" teacher=cross_encoder teacher.model={self.folder}"
            )
        for name, (module, path) in zip(self.names, self.modules, strict=True):
            if name not in KNOWN or not module.startswith("sentence_transformers."):
                raise ConfigError(
                    f"{path}: hardneg has no module like {module}; it reads a Transformer with Pooling, or a"
                    " StaticEmbedding, then Dense and Normalize"
                )
        self.check_reading()
        first, rest = (2, self.names[2:]) if self.names[:2] == ["Transformer", "Pooling"] else (1, self.names[1:])
        static = first == 1
        if static and self.names[0] != "StaticEmbedding":
            self._refuse_order()
        layers = [name for name in rest if name == "Dense"]
        if rest[: len(layers)] != layers or rest[len(layers) :] not in ([], ["Normalize"]) or (static and layers):
            self._refuse_order()

    def check_reading(self, text: Mapping[str, str] = TEXT, what: str = "vectors") -> None:
        """Raise `ConfigError` where the first module reads texts otherwise than a Transformer does by itself.

        `text` is how it reads them then, `what` comes of it.
        """
        about = self.about_transformer()
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
                f"{self.transformer / TRANSFORMER} sets {', '.join(other)}, which changes its {what}, and hardneg does"
                f" not follow it; remove it there where the {what} are to be those without it"
            )

    @property
    def classifies(self) -> bool:
        """Whether it is a cross-encoder, which sentence-transformers saves as a Transformer alone."""
        about = read_json(self.transformer / "config.json") or {}
        return len(self.names) == 1 and says_classifier(about.get("architectures"))

    def _refuse_order(self) -> None:
        raise ConfigError(f"{self.folder}: hardneg cannot run the modules {', '.join(self.names)} in this order")

    def pooling(self) -> str:
        """Our name of the pooling; raises `ConfigError` for one that we do not have."""
        about = self._about_pooling()
        modes = about.get("pooling_mode") or [mode for mode, flag in POOLING_FLAGS.items() if about.get(flag)]
        modes = [modes] if isinstance(modes, str) else list(modes or ["mean"])
        ours = {mode: name for name, mode in POOLING_MODES.items()}
        if not set(modes) <= ours.keys():
            raise ConfigError(f"{self.modules[1][1]}: it pools by {' + '.join(modes)}; hardneg has {', '.join(ours)}")
        return BESIDE.join(ours[mode] for mode in modes)

    def include_prompt(self) -> bool:
        """Whether the tokens of a prompt are pooled."""
        return bool(self._about_pooling().get("include_prompt", True))

    def _about_pooling(self) -> dict[str, Any]:
        """The settings of the Pooling; raises `ConfigError` where they are missing, as in a copy of the top level."""
        self.check()
        place = self.modules[1][1] / "config.json"
        about: dict[str, Any] | None = read_json(place)
        if about is None:
            raise ConfigError(
                f"there is no {place}, which says how {self.folder} pools; copy or download the whole folder again,"
                " with its subfolders"
            )
        return about

    def dense(self) -> tuple[Dense, ...]:
        """The linear layers after the pooling."""
        self.check()
        return tuple(_dense(path) for path in self.dense_folders())

    def dense_folders(self) -> list[Path]:
        """Where the weights of these layers are."""
        return [path for name, (_, path) in zip(self.names, self.modules, strict=True) if name == "Dense"]

    def normalizes(self) -> bool:
        """Whether scores are cosines: it normalises, or its similarity does (by default cosine).

        Raises `ConfigError` for a similarity other than cosine and dot product.
        """
        self.check()
        similarity = self.similarity or "cosine"
        if similarity not in ("cosine", "dot"):
            raise ConfigError(f"{self.folder}: its similarity is {similarity}; hardneg scores by cosine or dot product")
        return "Normalize" in self.names or similarity == "cosine"

    @property
    def similarity(self) -> str | None:
        """The similarity that its settings name; None where they name none."""
        return self.settings.get("similarity_fn_name")

    def warn_of_width(self) -> None:
        """Say that vectors are whole here, where the settings name a width to which sentence-transformers cuts them."""
        if (width := self.settings.get("truncate_dim")) is not None:
            log.warning(
                "%s: sentence-transformers cuts its vectors to %s numbers (truncate_dim in %s), here they are whole:"
                " hardneg index cuts them by width=%s, and encoder.matryoshka=[%s] trains that width too",
                *(self.folder, width, SETTINGS, width, width),
            )

    def prompt(self, side: str) -> str:
        """What is put in front of a query or a document: the prompt of the side's name, else the folder's default."""
        return self._prompt(side)[1]

    def warn_of_prompt(self, side: str) -> None:
        """Say where a side's prompt is one that sentence-transformers' encode_query or encode_document leaves out.

        It gives every model the prompts `query` and `document`, empty where the folder names none, and so comes neither
        to a folder's `passage` nor to its default prompt, which its author wants in front.
        """
        name, prompt = self._prompt(side)
        if prompt and name != side:
            log.warning(
                "%s: its prompt %r (%s in %s) is put in front of each %s here; encode_%s of sentence-transformers"
                " leaves it out, where encode with prompt_name=%s gives these vectors",
                *(self.folder, prompt, name, SETTINGS, side, side, name),
            )

    @property
    def default_prompt(self) -> str:
        """The prompt that is put in front of whatever has none of its own; empty where the folder names none."""
        return str((self.settings.get("prompts") or {}).get(self.settings.get("default_prompt_name")) or "")

    def _prompt(self, side: str) -> tuple[str, str]:
        """Name and text of a side's prompt."""
        prompts, default = self.settings.get("prompts") or {}, self.settings.get("default_prompt_name") or ""
        name = next((name for name in PROMPT_NAMES[side] if prompts.get(name) is not None), default)
        return name, prompts.get(name, "")

    def max_length(self, side: str) -> int:
        """The longest length of a side, in tokens: what the folder says, else the tokenizer's; `UNCUT` where none is.

        Positions are not looked at.
        """
        return int(min(self.about_transformer().get(f"{side}_length") or self.longest, UNCUT))

    @property
    def longest(self) -> int:
        """The longest length of whatever has none of its own, as `max_length` says it; that of pairs, too."""
        about = self.about_transformer()
        own: dict[str, Any] = about.get("processor_kwargs") or about.get("tokenizer_args") or {}
        of_tokenizer: dict[str, Any] = read_json(self.transformer / "tokenizer_config.json") or {}
        said = own.get("model_max_length") or about.get("max_seq_length")
        said = said or of_tokenizer.get("model_max_length") or of_tokenizer.get("max_len")  # the latter: its old name
        return int(min(said or UNCUT, UNCUT))

    def about_transformer(self) -> dict[str, Any]:
        """The settings of the first module."""
        found = (read_json(self.transformer / name) for name in TRANSFORMER_NAMES)
        return next((about for about in found if about is not None), {})


def _dense(folder: Path) -> Dense:
    about = read_json(folder / "config.json") or {}
    place = about.get("module_input_name", "sentence_embedding")
    if place != "sentence_embedding" or about.get("module_output_name", place) != place:
        raise ConfigError(f"{folder}: a Dense layer over {place}, and hardneg has those over the pooled text alone")
    activation = str(about.get("activation_function") or "torch.nn.modules.activation.Tanh")
    if not activation.startswith("torch.nn."):
        raise ConfigError(f"{folder}: its activation {activation} is not one of torch.nn")
    if not {"in_features", "out_features"} <= set(about):
        raise ConfigError(f"{folder / 'config.json'} does not say in_features and out_features of its Dense layer")
    return Dense(
        in_features=about["in_features"],
        out_features=about["out_features"],
        bias=about.get("bias", True),
        activation=short(activation),
        residual=about.get("use_residual", False),
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


def short(module: str) -> str:
    """The last part of a dotted name."""
    return module.rsplit(".", 1)[-1]


def read_json(path: Path) -> Any:
    """Read a file of settings; None where it does not exist, `ConfigError` where it is not JSON."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON ({error})") from error
