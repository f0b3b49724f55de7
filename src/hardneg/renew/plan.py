"""What a renewal starts from: the live build, its checkpoint, the config of the training, the data as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hardneg.config import classes, composition
from hardneg.config.command_words import is_data, key_of, quoted, to_type
from hardneg.config.run_identity import settings
from hardneg.data.open_set import open_set
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.encoders import checkpoint
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.renew.overrides import GIVEN, check, index_words
from hardneg.serving.builds import Build
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.rebuild_command import with_absolute_paths
from hardneg.system.atomic_write import atomic_write
from hardneg.system.cache import fingerprint

PLACE, NOTE = "renewals", "renewal.json"  # a folder in that of the index; the note on a renewal's outcome, in its own
ELSEWHERE = (*GIVEN[1:], "data")  # keys for places, or for what is identified by its content


@dataclass(frozen=True)
class Renewal:
    """One renewal of an index. `words` are those for `hardneg train`, `cfg` is what they compose to.

    `encoder` is the live checkpoint's, as a config describes it.

    `task` names the data, by content, and the settings of the training: what a model is renewed with only once.
    `name`, of the folder, names the live model too.
    """

    index: IndexFolder
    live: Build
    encoder: dict[str, Any]
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
        """The split that the gate judges by; of several test splits the first."""
        return next(iter(splits_of(self.cfg.split.test)), self.cfg.split.dev)

    @property
    def note(self) -> dict[str, Any]:
        """The last outcome; empty if it never ended."""
        return read_note(self.folder)

    @property
    def before(self) -> Path:
        """The folder of the renewal that the live model came out of, if it did."""
        return Path(self.checkpoint).parent.parent.parent

    @property
    def done(self) -> bool:
        """Whether the live model came out of a renewal with these data and settings."""
        return read_note(self.before).get("task") == self.task

    @property
    def rolled_back(self) -> bool:
        """Whether its build was live and is no longer."""
        return self.note.get("state") == "live" and self.note["new"] != self.live.name

    def source(self) -> dict[str, Any]:
        """What the manifest of a build says about its data, and the command that would make it again."""
        own = [word for word in self.words if is_data(word) and word != "data=live"]
        data, words = with_absolute_paths(classes.plain(self.cfg.data), index_words(self.live, own))
        return {"data": data, "words": words}


def make_plan(index: Path, words: Sequence[str]) -> Renewal:
    """Read the live index and compose the training; loads the data.

    Raises `ConfigError` for words that the plan itself gives, a config that cannot work, and a live checkpoint or a
    split that is not there.
    """
    check(words)
    folder = IndexFolder(index)
    live = folder.live()
    start = live_checkpoint(live)
    encoder = checkpoint.read(start)[checkpoint.KEY]["encoder"]
    given = list(words) if any(key_of(word) == "experiment" for word in words) else ["experiment=renew", *words]
    fixed = ["data=live", "encoder=live", *given, f"init_from={quoted(start)}", f"from_index={quoted(folder.root)}"]
    with TemporaryDirectory() as made:
        write_groups(Path(made), live, encoder)
        cfg = _train_config(fixed, Path(made), encoder)
    if "wandb" in cfg.logger:  # a scheduler's working directory is no place for files
        fixed.append(f"logger.wandb.dir={quoted(folder.root / PLACE)}")
    if not (cfg.split.test or cfg.split.dev):
        raise ConfigError("split.test and split.dev are null: without judged queries nobody can say what is better")
    data: RetrievalData = open_set(classes.build(cfg.data), Path(cfg.cache))
    named = (cfg.split.train, cfg.split.dev, *splits_of(cfg.split.test))
    splits = {name: data.fingerprint(name) for name in filter(None, named)}
    kept = {key: value for key, value in settings(cfg).items() if key.split(".")[0] not in ELSEWHERE}
    task = fingerprint([kept, data.corpus.fingerprint, data.queries.fingerprint, splits])
    name = fingerprint([task, live.manifest.model])
    return Renewal(folder, live, encoder, tuple(fixed), cfg, _index_config(live, start), data, task, name)


def live_checkpoint(live: Build) -> str:
    """The checkpoint that the live build was made with; raises `ConfigError` where it is gone."""
    anew = f"hardneg index ckpt_path=OTHER data=... {to_type('index.path', live.root)}"
    return live.checkpoint(f"bring it back, or begin with another one: {anew}")


def read_note(folder: Path) -> dict[str, Any]:
    """Read the note that a renewal left in its folder; empty without one."""
    try:
        return json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def write_note(folder: Path, facts: Mapping[str, Any]) -> None:
    """Leave the note of a renewal in its folder."""
    with atomic_write(folder / NOTE, alone=True) as draft:
        draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def write_groups(folder: Path, live: Build, encoder: dict[str, Any]) -> None:
    """Write the live model's encoder and the live index's data as options of their groups: encoder=live, data=live."""
    for group, node in (("encoder", encoder), ("data", live.manifest.source.get("data"))):
        if node is not None:
            (folder / group).mkdir(parents=True, exist_ok=True)
            OmegaConf.save(OmegaConf.create(node), folder / group / "live.yaml")


def _train_config(words: list[str], groups: Path, encoder: dict[str, Any]) -> DictConfig:
    with composition.composing():
        cfg = composition.compose("train", [*words, f"hydra.searchpath=['file://{groups}']"])
    if other := sorted(set(cfg.encoder) - set(encoder)):
        chosen = next(word for word in reversed(words) if key_of(word) == "experiment")
        raise ConfigError(
            f"{chosen} is for another encoder than the live one, which has no {other[0]}; give an experiment that sets"
            " none, or the words that you want of it"
        )
    check_config(cfg)
    return cfg


def _index_config(live: Build, start: str) -> DictConfig:
    """How the live index was made, by its own words."""
    words = [word for word in live.manifest.source.get("words") or () if not is_data(word)]
    with composition.composing():
        return composition.compose("index", [*words, f"ckpt_path={quoted(start)}", f"index.path={quoted(live.root)}"])
