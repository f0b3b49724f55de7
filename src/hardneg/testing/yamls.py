"""A folder of yamls, what the command line composes with it, and what each yaml promises."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from hardneg.config import classes, composition
from hardneg.config.command_words import quoted
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss, VectorLoss
from hardneg.negatives.base import OfflineSource, OnlineSource

KINDS = {"negatives": (OfflineSource, OnlineSource), "loss": (Loss, VectorLoss), "filter": (CandidateFilter,)}


class Conf:
    """The yamls of one folder, or of the folder `conf` of an installed package, beside hardneg's own.

    Raises `ConfigError` where there is no such folder.
    """

    def __init__(self, place: str | Path) -> None:
        self.folder = (place if isinstance(place, Path) else _conf_of(place)).resolve()
        if not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: no such folder of yamls")

    def names(self, group: str) -> list[str]:
        """The options of a group that the folder itself has: one a file."""
        return sorted(path.stem for path in (self.folder / group).glob("*.yaml"))

    def compose(self, *overrides: str, command: str = "train") -> DictConfig:
        """What `hardneg train` (or another command's yaml) would make of these words."""
        return _compose(self.folder, overrides, command)

    def node(self, group: str, name: str) -> dict[str, Any]:
        """The body of a yaml as a job sees it."""
        return classes.plain(self.compose(f"{group}=[{name}]")[group])[name]

    def target(self, group: str, name: str) -> Any:
        """The class that a yaml names, without composing anything; None where it cannot be found."""
        try:
            written: Any = OmegaConf.load(self.folder / group / f"{name}.yaml")
            return hydra.utils.get_object(written["_target_"])
        except Exception:
            return None  # the checks below will say why


def _conf_of(package: str) -> Path:
    try:
        return Path(str(resources.files(f"{package}.conf")))
    except ModuleNotFoundError:
        raise ConfigError(f"there is no package {package}.conf here; install yours by pip install -e FOLDER") from None


@cache
def _compose(folder: Path, overrides: tuple[str, ...], command: str) -> DictConfig:
    with composition.composing(command):
        cfg = hydra.compose(command, overrides=[*overrides, f"hydra.searchpath=[{quoted(folder)}]"])
    OmegaConf.set_readonly(cfg, True)
    return cfg


def file_is_named_like_its_key(conf: Conf, group: str, name: str) -> None:
    """The first line says under which key the body goes, `# @package GROUP.NAME`, and the file is called NAME.yaml."""
    text = (conf.folder / group / f"{name}.yaml").read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    assert text.startswith(f"# @package {group}.{name}\n"), f"the first line of {group}/{name}.yaml is {first!r}"
    assert list(conf.compose(f"{group}=[{name}]")[group]) == [name], "the body lands under another key"


def class_is_of_its_group(conf: Conf, group: str, name: str) -> None:
    """The class that `_target_` names derives from OfflineSource, OnlineSource, Loss, VectorLoss or CandidateFilter."""
    part = classes.build(conf.node(group, name))
    names = " or ".join(kind.__name__ for kind in KINDS[group])
    assert isinstance(part, KINDS[group]), f"a {type(part).__name__}, and of {group} is due an object of {names}"


def every_key_is_an_argument(conf: Conf, group: str, name: str) -> None:
    """Every key of the yaml is an argument of its class, which can be imported."""
    for path, node in classes.targets(conf.node(group, name), f"{group}.{name}"):
        classes.check_target(path, node)


def every_argument_is_in_the_yaml(conf: Conf, group: str, name: str) -> None:
    """Every argument of the class is in the yaml, so that one file shows all that can be set."""
    for path, node in classes.targets(conf.node(group, name), f"{group}.{name}"):
        if not node.get("_partial_"):
            takes = inspect.signature(hydra.utils.get_object(node["_target_"])).parameters
            left_out = takes.keys() - node.keys()
            assert not left_out, f"{path} does not show {', '.join(sorted(left_out))}"


def all_jobs_of_a_study_can_have_it(conf: Conf, group: str, name: str) -> None:
    """The options of one group can stand side by side, hardneg's own and those of the folder."""
    chosen = sorted({*conf.names(group), *Conf("hardneg").names(group)})
    assert name in conf.compose(f"{group}=[{','.join(chosen)}]")[group]


YAML = (
    *(file_is_named_like_its_key, class_is_of_its_group, every_key_is_an_argument, every_argument_is_in_the_yaml),
    all_jobs_of_a_study_can_have_it,
)
