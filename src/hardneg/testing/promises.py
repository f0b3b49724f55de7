"""The contracts: what is promised by which part, checked for an object, or for every yaml of a package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hardneg.config import classes
from hardneg.data.open_set import Readable
from hardneg.encoders.base import EncoderRecipe
from hardneg.filters.base import CandidateFilter
from hardneg.filters.guide import Guide
from hardneg.losses.base import Loss, VectorLoss
from hardneg.negatives.base import OfflineSource, OnlineSource, Setting
from hardneg.teachers.guide_vectors import LookedUp
from hardneg.testing.data_sets import DATA
from hardneg.testing.encoders import ENCODER, embed
from hardneg.testing.filters import FILTER
from hardneg.testing.losses import LOSS
from hardneg.testing.offline_sources import OFFLINE
from hardneg.testing.online_sources import ONLINE
from hardneg.testing.vector_losses import VECTOR_LOSS
from hardneg.testing.worlds import make_setting
from hardneg.testing.yamls import KINDS, YAML, Conf

CHECKS: dict[type, Sequence[Callable[..., None]]] = {
    OfflineSource: OFFLINE,
    OnlineSource: ONLINE,
    Loss: LOSS,
    VectorLoss: VECTOR_LOSS,
    CandidateFilter: FILTER,
}


def check_source(source: OfflineSource | OnlineSource, setting: Setting | None = None) -> None:
    """Hold a source, as its constructor leaves it, to all that sources promise.

    `setting` is what an offline source is prepared in; by default a small world with the knots that real sets have:
    copies of documents, queries asked twice, several positives. Raises `AssertionError` with every promise broken.
    """
    checked = kind_of(source, "negatives")
    if checked is OfflineSource:
        setting = setting or default_setting()
        _prepare_source(source, setting)
        _hold_all(source, OFFLINE, source, setting)
    else:
        _hold_all(source, ONLINE, source)


def check_loss(loss: Loss | VectorLoss) -> None:
    """Hold a loss to all that losses promise; raises `AssertionError` with every promise broken."""
    _hold_all(loss, CHECKS[kind_of(loss, "loss")], loss)


def check_filter(rule: CandidateFilter, setting: Setting | None = None) -> None:
    """Hold a filter to all that filters promise; raises `AssertionError` with every promise broken.

    `setting` holds the training set that it is prepared with (`check_source`).
    """
    kind_of(rule, "filter")
    _prepare_filter(rule, setting or default_setting())
    _hold_all(rule, FILTER, rule)


def check_encoder(recipe: Any) -> None:
    """Hold an encoder's recipe to all that encoders promise, with the tower that it makes for a few texts.

    Raises `AssertionError` with every promise broken.
    """
    assert isinstance(recipe, EncoderRecipe), f"{recipe!r} must be an object of a class that derives from EncoderRecipe"
    _try(recipe, "tokenizer, build and forward", lambda: embed(recipe))
    _hold_all(recipe, ENCODER, recipe)


def check_data(recipe: Any) -> None:
    """Hold a data set to all that data sets promise; raises `AssertionError` with every promise broken.

    `recipe` is an object with `load()`, which returns `RetrievalData`; it is loaded several times.
    """
    assert isinstance(recipe, Readable), f"{recipe!r} must have a method load"
    _try(recipe, "load", recipe.load)
    _hold_all(recipe, DATA, recipe)


def check_yaml(conf: str | Path | Conf, group: str, name: str) -> None:
    """Hold `GROUP/NAME.yaml` of a package or folder to all that yamls promise; raises `AssertionError`."""
    conf = conf if isinstance(conf, Conf) else Conf(conf)
    _hold_all(f"{group}/{name}.yaml", YAML, conf, group, name)


@dataclass(frozen=True)
class Promise:
    """One promise of one part, which a yaml describes; `str` names both, as tests are called."""

    conf: Conf
    group: str
    name: str
    check: Callable[..., None]

    def __str__(self) -> str:
        return f"{self.name}-{self.check.__name__}"

    def hold(self) -> None:
        """Make the part and check it; raises `AssertionError` that says what is promised where it does not hold."""
        if self.check in YAML:
            given: tuple[Any, ...] = (self.conf, self.group, self.name)
        else:
            part = _prepared(self.conf, self.group, self.name)
            given = (part, default_setting()) if self.check in OFFLINE else (part,)
        try:
            self.check(*given)
        except Exception as error:
            raise AssertionError(f"{self.group}={self.name} breaks a promise. {_told(self.check, error)}") from error


def promises(conf: str | Path | Conf, *groups: str) -> list[Promise]:
    """All that the parts promise whose yamls a package or folder holds, for `pytest.mark.parametrize(..., ids=str)`.

    `conf` is a package with a folder `conf`, or a folder of yamls; `groups` are of negatives, loss and filter, all by
    default. A yaml whose class does not belong to its group fails by `class_is_of_its_group`. Raises `ValueError` for
    another group.
    """
    if unknown := sorted(set(groups) - KINDS.keys()):
        raise ValueError(f"yamls of {', '.join(unknown)} have no promises; groups are {', '.join(KINDS)}")
    conf = conf if isinstance(conf, Conf) else Conf(conf)
    found = []
    for group in groups or KINDS:
        for name in conf.names(group):
            cls = conf.target(group, name)
            kinds = [kind for kind in KINDS[group] if inspect.isclass(cls) and issubclass(cls, kind)]
            checks = [*YAML, *(check for kind in kinds for check in CHECKS[kind])]
            found += [Promise(conf, group, name, check) for check in checks]
    return found


@cache
def default_setting() -> Setting:
    """The small world that parts are checked in, made once a process; its cache goes when the process ends."""
    folder = TemporaryDirectory(prefix="hardneg_contracts_")
    _folders.append(folder)
    return make_setting(Path(folder.name))


_folders: list[TemporaryDirectory] = []  # held, since a temporary folder goes with its object


@cache
def _prepared(conf: Conf, group: str, name: str) -> Any:
    part = classes.build_group(conf.compose(f"{group}=[{name}]")[group], group)[name]
    if isinstance(part, OfflineSource):
        _prepare_source(part, default_setting())
    elif isinstance(part, CandidateFilter):
        _prepare_filter(part, default_setting())
    return part


def _prepare_filter(rule: CandidateFilter, setting: Setting) -> None:
    rule.prepare(setting.training)
    if isinstance(rule, Guide) and setting.model is not None:  # whoever the guide may be
        rule.read(LookedUp.of(setting.model, setting.training, "all", setting.cache))


def _prepare_source(source: Any, setting: Setting) -> None:
    source.prepare(setting)
    if source.follows_model:
        source.mine(setting)


def kind_of(part: Any, group: str) -> type:
    """Which of the group's kinds a part is; raises `AssertionError` for none."""
    for kind in KINDS[group]:
        if isinstance(part, kind):
            return kind
    names = " or ".join(kind.__name__ for kind in KINDS[group])
    raise AssertionError(f"{part!r} is none of {group}: it must be an object of a class that derives from {names}")


def _try(part: Any, what: str, do: Callable[[], Any]) -> None:
    """Do once what every check does: what it raises is told once, not with each promise."""
    try:
        do()
    except Exception as error:
        raise AssertionError(f"{type(part).__name__}: {what} raised {type(error).__name__}: {error}") from error


def _hold_all(what: Any, checks: Sequence[Callable[..., None]], *given: Any) -> None:
    broken = []
    for check in checks:
        try:
            check(*given)
        except Exception as error:
            broken.append((check, error))
    if broken:
        name = what if isinstance(what, str) else type(what).__name__
        told = [f"{name} breaks {len(broken)} of {len(checks)} promises:", *(_told(*one) for one in broken)]
        raise AssertionError("\n- ".join(told)) from broken[0][1]


def _told(check: Callable[..., None], error: Exception) -> str:
    """The promise, and what came instead."""
    promise = " ".join((check.__doc__ or check.__name__).split())
    found = str(error).strip() if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return f"Promised ({check.__name__}): {promise} Found: {found or 'otherwise'}"
