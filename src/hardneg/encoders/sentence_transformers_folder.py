"""What a sentence-transformers folder says about how its vectors are made: its modules, their order, their layers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.encoders.dense_layers import DenseSpec
from hardneg.encoders.first_module import FirstModule
from hardneg.encoders.folder_json import read_json, says_classifier
from hardneg.encoders.folder_prompts import FolderPrompts
from hardneg.encoders.pooling import BESIDE
from hardneg.encoders.sentence_transformers_names import MODULES, POOLING_FLAGS, POOLING_MODES, SETTINGS
from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

KNOWN = ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding")
ROUTERS = ("Router", "Asym")


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
    def first(self) -> FirstModule:
        """The first module, which has the Hugging Face files where it is a Transformer."""
        return FirstModule(self.modules[0][1])

    @property
    def prompts(self) -> FolderPrompts:
        """What is put in front of texts."""
        return FolderPrompts(self.folder, self.settings)

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
        self.first.check_reading()
        first, rest = (2, self.names[2:]) if self.names[:2] == ["Transformer", "Pooling"] else (1, self.names[1:])
        static = first == 1
        if static and self.names[0] != "StaticEmbedding":
            self._refuse_order()
        layers = [name for name in rest if name == "Dense"]
        if rest[: len(layers)] != layers or rest[len(layers) :] not in ([], ["Normalize"]) or (static and layers):
            self._refuse_order()

    @property
    def classifies(self) -> bool:
        """Whether it is a cross-encoder, which sentence-transformers saves as a Transformer alone."""
        return len(self.names) == 1 and says_classifier(self.first.architectures)

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

    def dense(self) -> tuple[DenseSpec, ...]:
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


def _dense(folder: Path) -> DenseSpec:
    about = read_json(folder / "config.json") or {}
    place = about.get("module_input_name", "sentence_embedding")
    if place != "sentence_embedding" or about.get("module_output_name", place) != place:
        raise ConfigError(f"{folder}: a Dense layer over {place}, and hardneg has those over the pooled text alone")
    activation = str(about.get("activation_function") or "torch.nn.modules.activation.Tanh")
    if not activation.startswith("torch.nn."):
        raise ConfigError(f"{folder}: its activation {activation} is not one of torch.nn")
    if not {"in_features", "out_features"} <= set(about):
        raise ConfigError(f"{folder / 'config.json'} does not say in_features and out_features of its Dense layer")
    return DenseSpec(
        in_features=about["in_features"],
        out_features=about["out_features"],
        bias=about.get("bias", True),
        activation=short(activation),
        residual=about.get("use_residual", False),
    )


def short(module: str) -> str:
    """The last part of a dotted name."""
    return module.rsplit(".", 1)[-1]
