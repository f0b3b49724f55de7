"""What a renewal starts from: the live build, its checkpoint, the config of the training, the data as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra import initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from hardneg import checkpoint, configs, preflight
from hardneg.data.cache import fingerprint
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError
from hardneg.identity import settings
from hardneg.serving.builds import Build
from hardneg.serving.folder import IndexFolder

PLACE = "renewals"  # in the folder of the index
OURS = ("encoder", "init_from", "from_index", "ckpt_path", "stages")  # what the plan itself gives
WHERE = (*OURS[1:], "data")  # what says where things are, or is told apart by content


@dataclass(frozen=True)
class Renewal:
    """One renewal of an index. `words` are those for `hardneg train`, `cfg` is what they compose to.

    `task` names the data, by content, and the settings of the training: what a model is renewed with only once.
    `name` names the live model too.
    """

    index: IndexFolder
    live: Build
    words: tuple[str, ...]
    cfg: DictConfig
    index_cfg: DictConfig
    data: RetrievalData
    task: str
    name: str

    @property
    def folder(self) -> Path:
        """Where its results lie."""
        return self.index.root / PLACE / self.name

    @property
    def checkpoint(self) -> str:
        """The live model's."""
        return live_checkpoint(self.live)

    @property
    def split(self) -> str:
        """The queries that the gate looks at."""
        return self.cfg.split.test or self.cfg.split.dev

    @property
    def done(self) -> bool:
        """Whether the live model is already the one that these data and settings make."""
        return self.live.manifest.source.get("renewal") == self.task

    def source(self) -> dict[str, Any]:
        """What the manifest of the new build says of its data, and of the command that would make it again."""
        data = configs.plain(self.cfg.data)
        if "path" in data:
            data["path"] = str(Path(data["path"]).expanduser().resolve())
        own = [word for word in self.words if _is_data(word) and word != "data=live"]
        return {"data": data, "words": index_words(self.live, own), "renewal": self.task}


def make_plan(index: Path, words: Sequence[str]) -> Renewal:
    """Read the live index and compose the training; loads the data.

    Raises `ConfigError` for words that the plan itself gives, a config that cannot work, and a live checkpoint or a
    split that is not there.
    """
    for word in words:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            raise ConfigError(f"{word}: give words of hardneg train, such as data.path=DIR or trainer.max_epochs=2")
        if (key := _key(word)) in OURS or key.startswith("hydra."):
            raise ConfigError(f"{word}: hardneg renew gives {key} itself; leave it out")
    folder = IndexFolder(index)
    live = folder.live()
    start = live_checkpoint(live)
    given = list(words) if any(_key(word) == "experiment" for word in words) else ["experiment=renew", *words]
    fixed = ["data=live", "encoder=live", *given, f"init_from='{start}'", f"from_index='{folder.root}'"]
    with TemporaryDirectory() as made:
        write_groups(Path(made), live)
        cfg = _compose("train", fixed, Path(made))
    index_cfg = _index_config(live, start)
    if not (cfg.split.test or cfg.split.dev):
        raise ConfigError("split.test and split.dev are null: without judged queries nobody can say what is better")
    data: RetrievalData = configs.build(cfg.data).load()
    splits = {name: data.fingerprint(name) for name in filter(None, (cfg.split.train, cfg.split.dev, cfg.split.test))}
    kept = {key: value for key, value in settings(cfg).items() if key.split(".")[0] not in WHERE}
    task = fingerprint([kept, data.corpus.fingerprint, data.queries.fingerprint, splits])
    name = fingerprint([task, live.manifest.model])
    return Renewal(folder, live, tuple(fixed), cfg, index_cfg, data, task, name)


def index_words(live: Build, own: Sequence[str]) -> list[str]:
    """The words of the command that made an index, with other data: a choice of `data` takes away all there was."""
    keys = {_key(word) for word in own}
    before = list(live.manifest.source.get("words") or ())
    return [word for word in before if not (_is_data(word) and ("data" in keys or _key(word) in keys))] + list(own)


def live_checkpoint(live: Build) -> str:
    """The checkpoint that the live build was made with; raises `ConfigError` where it is gone."""
    path = live.manifest.source.get("ckpt_path")
    if not path or not Path(path).is_file():
        raise ConfigError(
            f"{live.folder} was made with the checkpoint {path}, which is not there: bring it back, or index with"
            " another one"
        )
    return path


def write_groups(folder: Path, live: Build) -> None:
    """Write the live model's encoder and the live index's data as options of their groups: encoder=live, data=live."""
    encoder = checkpoint.read(live_checkpoint(live))[checkpoint.KEY]["encoder"]
    for group, node in (("encoder", encoder), ("data", live.manifest.source.get("data"))):
        if node is not None:
            (folder / group).mkdir(parents=True, exist_ok=True)
            OmegaConf.save(OmegaConf.create(node), folder / group / "live.yaml")


def _index_config(live: Build, start: str) -> DictConfig:
    """How the live index was made, by its own words."""
    words = [word for word in live.manifest.source.get("words") or () if not _is_data(word)]
    with _config() as compose:
        return compose("index", [*words, f"ckpt_path='{start}'", f"index.path='{live.root}'"])


def _compose(command: str, words: list[str], more: Path) -> DictConfig:
    with _config() as compose:
        cfg = compose(command, [*words, f"hydra.searchpath=['file://{more}']"])
        preflight.check(cfg)
        return cfg


@contextmanager
def _config() -> Iterator[Any]:
    configs.register_resolvers()
    with initialize_config_module(configs.CONFIG_PATH.removeprefix("pkg://"), version_base="1.3"):
        try:
            yield preflight.compose
        except HydraException as error:
            raise ConfigError(configs.in_plain_words(error)) from error


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _is_data(word: str) -> bool:
    return _key(word).split(".")[0].split("@")[0] == "data"
