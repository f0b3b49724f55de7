"""The run's sources of negatives and its filters, made from the config and made ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter, prepared
from hardneg.filters.guide import Guide
from hardneg.filters.known_positives import warn_of_positives
from hardneg.losses.base import Loss, Weighed
from hardneg.negatives.base import OfflineSource, OnlineSource, Setting, Source
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.live_teacher import learns_live
from hardneg.negatives.per_set import PerSet
from hardneg.negatives.stored import Stored
from hardneg.system.cache import owner_name
from hardneg.teachers.guide_vectors import guide, taught_by
from hardneg.training.begin import own_device
from hardneg.training.teacher_scores import check_one_scale, check_scores, giving_scores


@dataclass(frozen=True)
class Negatives:
    """The run's negative sources, told apart by where they live, and the labels of all candidates."""

    offline: dict[str, OfflineSource]
    online: dict[str, OnlineSource]
    curriculum: Curriculum | None = None
    per_set: PerSet | None = None

    @property
    def stored(self) -> dict[str, Stored]:
        """Those that draw from mined lists."""
        return {name: source for name, source in self.offline.items() if isinstance(source, Stored)}

    @property
    def names(self) -> tuple[str, ...]:
        """Label 0 is the positive; the others are the config's keys."""
        return ("positive", *self.offline, *self.online)


def make_filters(cfg: DictConfig, training: TrainingSet) -> dict[str, CandidateFilter]:
    """Make the filters and let them build what they look up; a guide embeds what it may be asked about."""
    filters = prepared(classes.build_group(cfg.filter, "filter"), training)
    sources = classes.build_group(cfg.negatives, "negatives").values()
    if not all(source.avoids_positives for source in sources):
        warn_of_positives(filters.values())
    if any(isinstance(rule, Guide) for rule in filters.values()):
        documents = candidates_of(sources)
        guide(filters, training, documents, Path(cfg.cache), own_device(cfg))
    return filters


def candidates_of(sources: Iterable[Source]) -> str:
    """Which documents a step may hold, so that another encoder must know them: the `positives` alone, or `all`.

    In-batch negatives, a queue and blocks offer what other rows hold; all others may name any document.
    """
    of_rows = all(source.of_batch or source.kept_documents for source in sources)
    return "positives" if of_rows else "all"


def setting_of(cfg: DictConfig, folder: Path, training: TrainingSet) -> Setting:
    """The setting of the negative sources: the data, the filters, the cache, and who holds what they mine."""
    return Setting(
        training,
        make_filters(cfg, training),
        Path(cfg.cache),
        owner=owner_name(folder),
        device=own_device(cfg),
        positives=cfg.positives,
    )


def prepare_negatives(cfg: DictConfig, setting: Setting, losses: Mapping[str, Weighed]) -> Negatives:
    """Make the sources and let them get ready: the offline ones mine or open what they draw from."""
    sources = classes.build_group(cfg.negatives, "negatives")
    offline = {name: source for name, source in sources.items() if isinstance(source, OfflineSource)}
    online = {name: source for name, source in sources.items() if isinstance(source, OnlineSource)}
    curriculum: Curriculum | None = classes.build(cfg.curriculum) if cfg.get("curriculum") else None
    if curriculum is not None:
        curriculum.resize(sources)
    per_set = PerSet(setting.training.data.parts, offline)
    per_set.resize(offline)
    giving = giving_scores(offline, setting.training.data)
    for name, loss in losses.items():
        if isinstance(loss, Loss):
            loss.live_teacher = learns_live(name, loss, sources, giving)
    check_scores(losses, setting.filters, offline, setting.training.data)
    check_one_scale(losses, offline, setting.training.data)
    for source in offline.values():
        source.prepare(setting)
    for asked in online.values():
        asked.prepare(setting)
        if isinstance(asked, InBatch) and asked.teacher is not None:
            documents = candidates_of(sources.values())
            asked.read(taught_by(asked.teacher, setting.training, documents, setting.cache, setting.device))
    return Negatives(offline, online, curriculum, per_set)
