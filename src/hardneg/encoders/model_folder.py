"""The small files beside a model's weights: of a folder here, of the installed package, or of the hub's repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers

from hardneg.encoders.adapter_folder import ADAPTERS, MERGE, base_of
from hardneg.encoders.adapter_folder import WEIGHTS as ADAPTER_WEIGHTS
from hardneg.encoders.folder_json import read_json
from hardneg.encoders.pretrained import name_of, unavailable
from hardneg.encoders.sentence_transformers_folder import ModuleChain
from hardneg.encoders.sentence_transformers_names import MODULES
from hardneg.errors import ConfigError

SETTINGS = ("*.json", "*/*.json")  # everything but weights
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim")  # how configs name the width of the hidden states
SETS_POSITIONS_APART = ("roberta", "camembert", "mpnet", "longformer", "xmod", "data2vec-text")  # after the padding's


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder: `path` holds at least its settings, `name` is what transformers loads it by.

    `modules` are those that sentence-transformers runs; None for a plain Hugging Face folder.
    """

    name: str
    path: Path
    modules: ModuleChain | None
    revision: str | None = None

    @classmethod
    def open(cls, model: str, revision: str | None = None) -> ModelFolder:
        """Find the settings, on the hub if need be; raises `ConfigError` where they cannot be had."""
        name = name_of(model)
        path = Path(name)
        if not path.is_dir():
            path = _from_hub(name, revision)
        return cls(name, path, ModuleChain.read(path), revision)

    @property
    def subfolder(self) -> str:
        """The subfolder with the Hugging Face files: none but in the oldest folders."""
        if self.modules is None or self.modules.routes:
            return ""
        place = self.modules.first.folder.relative_to(self.path).as_posix()
        return "" if place == "." else place

    @property
    def adapters(self) -> Path:
        """Where adapters are, in a folder that has them in place of a model."""
        return self.path / self.subfolder

    @property
    def base(self) -> ModelFolder | None:
        """The folder of the model whose adapters are in this one; None where this one holds a model.

        Raises `ConfigError` for a model that is not there, and for one that is adapters itself.
        """
        if (found := base_of(self.adapters)) is None:
            return None
        try:
            base = ModelFolder.open(*found)
        except ConfigError as error:
            raise ConfigError(f"{self.path} holds adapters of the model {found[0]!r}: {error}") from error
        if base_of(base.adapters) is not None:
            raise ConfigError(
                f"{self.path} holds adapters of {found[0]!r}, which holds adapters and no model, and hardneg merges"
                f" adapters into a model; {MERGE}"
            )
        return base

    @property
    def words(self) -> ModelFolder:
        """The folder with the tokenizer; adapters without one use their model's."""
        base = self.base
        path = self.path / self.subfolder
        own = any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))
        return self if base is None or own else base

    @property
    def positions(self) -> int | None:
        """The number of tokens that the model has positions for; None where its config sets no limit."""
        return positions_of(self.config)

    @property
    def width(self) -> int | None:
        """The width of the model's hidden states; None where its config does not say."""
        config = self.config.get("text_config") or self.config
        return next((config[key] for key in WIDTHS if isinstance(config.get(key), int)), None)

    @property
    def width_of_words(self) -> int | None:
        """The width of its input embeddings, which some models widen; None where its config does not say."""
        narrower = self.config.get("embedding_size")
        return narrower if isinstance(narrower, int) else self.width

    @property
    def config(self) -> dict[str, Any]:
        """The model's config.json, of adapters that of their model; empty without one."""
        base = self.base
        return (read_json(self.path / self.subfolder / "config.json") or {}) if base is None else base.config

    def fetched_adapters(self) -> Path:
        """The folder of the adapters, with their weights, which are fetched where they are not here yet."""
        if not Path(self.name).is_dir():
            from huggingface_hub import snapshot_download

            place = f"{self.subfolder}/" if self.subfolder else ""
            snapshot_download(self.name, revision=self.revision, allow_patterns=[f"{place}{ADAPTER_WEIGHTS}"])
        return self.adapters

    def dense_folders(self, revision: str | None) -> list[Path]:
        """The folders of the linear layers' weights, fetched where they are not here yet."""
        assert self.modules is not None
        folders = self.modules.dense_folders()
        if not Path(self.name).is_dir():
            from huggingface_hub import snapshot_download

            wanted = [f"{folder.relative_to(self.path).as_posix()}/*" for folder in folders]
            snapshot_download(self.name, revision=revision, allow_patterns=wanted)
        return folders


def lower(tokenizer: Tokenizer) -> None:
    """Make a tokenizer lower-case texts, as `do_lower_case` in a folder asks, unless it does so already."""
    if tokenizer.normalizer is None or tokenizer.normalizer.normalize_str("A") != "a":
        before = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])  # type: ignore[assignment]


def positions_of(config: Mapping[str, Any]) -> int | None:
    """For how many tokens a model of this config has positions; None where there is no limit."""
    config = config.get("text_config") or config
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1:
        return None
    if any(kind in str(config.get("model_type")) for kind in SETS_POSITIONS_APART):
        padding = config.get("pad_token_id")
        return positions - (1 if padding is None else padding) - 1
    return positions


def check_positions(key: str, longest: int, positions: int | None, model: str) -> None:
    """Raise `ConfigError`, naming the config's `key`, where texts may be longer than the model has positions."""
    if positions is not None and longest > positions:
        raise ConfigError(
            f"{key}={longest} is more than {model!r} has positions for, {positions}; set it to {positions} or less"
        )


def _from_hub(name: str, revision: str | None) -> Path:
    """Fetch the settings of a repository, or find them in the hub's cache; returns their folder."""
    from huggingface_hub import snapshot_download
    from transformers.utils import cached_file

    try:
        where: dict[str, Any] = {"revision": revision}
        modules = cached_file(name, MODULES, _raise_exceptions_for_missing_entries=False, **where)
        if modules is not None:
            return Path(snapshot_download(name, allow_patterns=list(SETTINGS), **where))
        adapters = cached_file(name, ADAPTERS, _raise_exceptions_for_missing_entries=False, **where)
        must_exist = adapters is None  # a folder of adapters may have no config
        config = cached_file(name, "config.json", _raise_exceptions_for_missing_entries=must_exist, **where) or adapters
    except (OSError, ValueError) as error:
        raise unavailable(name, error) from error
    if config is None:
        raise ConfigError(f"the model {name!r} has no config.json; give another one")
    return Path(config).parent
