"""The begin of a run: seed, data, what is trained on, and the folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg.config import classes, run_identity
from hardneg.data.open_set import open_set
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet
from hardneg.pairs import report as pairs_report
from hardneg.pairs.select import select, selected
from hardneg.retrieval.test_sets import check_left_out
from hardneg.system import agreement, distributed
from hardneg.system.counts_in_words import counted
from hardneg.training.batch_size import planned

log = logging.getLogger(__name__)


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
