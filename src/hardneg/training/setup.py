"""What a run needs before its model: data, filters and negatives, from the config."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import nn

from hardneg.config import classes, run_identity
from hardneg.data.open_set import open_set
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter, prepared
from hardneg.filters.guide import Guide
from hardneg.filters.known_positives import warn_of_positives
from hardneg.losses.base import Loss, Weighed
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.mining.guide_vectors import guide, taught_by
from hardneg.mining.stored_vectors import StoredVectors
from hardneg.negatives.base import OfflineSource, OnlineSource, Setting, Source
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.live_teacher import learns_live
from hardneg.negatives.per_set import PerSet
from hardneg.negatives.queue import Queue
from hardneg.negatives.stored import Stored
from hardneg.pairs import report as pairs_report
from hardneg.pairs.select import select, selected
from hardneg.retrieval.test_sets import check_left_out
from hardneg.system import agreement, distributed
from hardneg.system.cache import owner_name
from hardneg.system.counts_in_words import counted
from hardneg.training.base import Objective
from hardneg.training.batch_size import planned
from hardneg.training.parameter_groups import ParameterGroups, optimizer_alone
from hardneg.training.teacher_scores import check_one_scale, check_scores, giving_scores

log = logging.getLogger(__name__)


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


def begin(cfg: DictConfig) -> tuple[Path, TrainingSet]:
    """Seed, load the data, and return the run folder and what is trained on."""
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    L.seed_everything(cfg.seed, verbose=False)
    data: RetrievalData = open_set(classes.build(cfg.data), Path(cfg.cache))
    training = TrainingSet(data, cfg.split.train)
    for split in filter(None, (cfg.split.dev, *splits_of(cfg.split.test))):
        data.split(split)  # now, not after the first epoch
    check_left_out(cfg, data)
    agreement.agree("the run folder", str(folder))
    agreement.agree("the settings", run_identity.identity(cfg, folder))
    agreement.agree("the checkpoint to go on from", cfg.ckpt_path)
    agreement.agree("the data", [data.corpus.fingerprint, data.queries.fingerprint, training.fingerprint])
    log.info(describe(data))
    if training.leaves_no_negative:
        log.warning(
            "data %s: every document is a positive of every training query, so that nothing is left for a negative and"
            " there is nothing to learn from contrasts; add documents to the corpus",
            data.name,
        )
    training = kept_pairs(cfg, folder, training)
    check_batch_size(cfg, training)
    return folder, training


def kept_pairs(cfg: DictConfig, folder: Path, training: TrainingSet) -> TrainingSet:
    """Return the training set with the pairs alone that the filters of `pairs` keep, and report what they dropped."""
    rules = classes.build_group(cfg.get("pairs"), "pairs")
    if not rules:
        return training
    selection = select(rules, training, Path(cfg.cache), own_device(cfg))
    if distributed.rank() == 0:
        pairs_report.write(folder, selection)
    return selected(training, selection)


def check_batch_size(cfg: Any, training: TrainingSet) -> None:
    """Raise `ConfigError` if a set has too few training queries for one batch over all ranks that are known of."""
    devices, nodes = cfg["trainer"]["devices"], cfg["trainer"]["num_nodes"]
    ranks = max(devices, 1) * nodes if isinstance(devices, int) else 1
    ranks = max(ranks, distributed.world_size())
    training.order.check(planned(cfg["batch_size"], cfg["encoder"], training.order, ranks), ranks)


def describe(data: RetrievalData) -> str:
    """Say in one line what is trained on."""
    splits = ", ".join(f"{name} {len(qrels.query_rows):,}" for name, qrels in data.qrels.items())
    skipped = f"; rows skipped: {sum(data.skipped.values()):,}" if data.skipped else ""
    each = ", ".join(f"{part.name} {counted(len(part.docs), 'document')}" for part in data.mixed)
    sets = f"; sets: {each}" if each else ""
    return f"data {data.name}: {counted(len(data.corpus), 'document')}; queries: {splits}{sets}{skipped}"


def own_device(cfg: DictConfig) -> str:
    """Where weights that are not trained compute: beside those that are."""
    return "cpu" if cfg.trainer.accelerator == "cpu" else "auto"


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
    of_rows = all(source.of_batch or isinstance(source, Queue) for source in sources)
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


def make_losses(cfg: DictConfig, data: RetrievalData) -> dict[str, Weighed]:
    """Make the losses, and tell them which queries each data set has."""
    losses: dict[str, Weighed] = classes.build_group(cfg.loss, "loss")
    for loss in losses.values():
        if isinstance(loss, Loss):
            loss.over({part.name: part.queries for part in data.mixed})
    return losses


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
    if cfg.ckpt_path is None:  # a run that goes on keeps what it was begun with
        check_one_scale(losses, offline, setting.training.data)
    for source in offline.values():
        source.prepare(setting)
    for asked in online.values():
        asked.prepare(setting)
        if isinstance(asked, InBatch) and asked.teacher is not None:
            documents = candidates_of(sources.values())
            asked.read(taught_by(asked.teacher, setting.training, documents, setting.cache, setting.device))
    return Negatives(offline, online, curriculum, per_set)


def teacher_vectors(losses: Mapping[str, Weighed], setting: Setting) -> StoredVectors | None:
    """The vectors that a loss wants ours to be like, embedded now or before; None where none does."""
    for loss in losses.values():
        if isinstance(loss, EmbedDistill):
            return loss.teacher.vectors(setting.training, loss.documents, setting.cache, setting.device)
    return None


def objective(
    cfg: DictConfig, negatives: Negatives, filters: Mapping[str, CandidateFilter], losses: Mapping[str, Weighed]
) -> Objective:
    """Make optimizer and schedule, beside what they minimise."""
    return Objective(
        filters=filters,
        losses=losses,
        names=negatives.names,
        optimizer=classes.build(optimizer_alone(classes.plain(cfg.optimizer))),
        schedule=classes.build(cfg.schedule),
        seed=cfg.seed,
        groups=ParameterGroups.of(classes.plain(cfg.optimizer)),
    )


def check_groups(cfg: DictConfig, losses: Mapping[str, Weighed], make: Callable[[], nn.Module]) -> None:
    """Raise `ConfigError`, before anything is mined, for groups of weights that the model does not have.

    Makes the model once for that, by `make`, and only where all weights are not treated alike. What a loss may learn
    once the widths of vectors are known counts as learned.
    """
    groups = ParameterGroups.of(classes.plain(cfg.optimizer))
    if groups.plain:
        return
    with torch.random.fork_rng():
        learning: dict[str, nn.Module] = {name: copy.deepcopy(loss) for name, loss in losses.items()}
        for loss in learning.values():
            if isinstance(loss, EmbedDistill) and loss.may_learn:
                loss.make_projection(1, 2)
        groups.over(nn.ModuleDict({"towers": make(), "losses": nn.ModuleDict(learning)}), 1.0)
