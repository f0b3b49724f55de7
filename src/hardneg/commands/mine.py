"""hardneg mine: the mining pipeline on its own, with a report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg.data.held_out import TRAIN
from hardneg.data.training_set import TrainingSet
from hardneg.mining.alarm_rules import Thresholds, of_lists
from hardneg.mining.report import report, show
from hardneg.mining.score_histograms import draw
from hardneg.mining.store import Store
from hardneg.mining.text_export import check_export, export, left_out
from hardneg.negatives.stored import Stored
from hardneg.runs.data_named import check_data_named
from hardneg.runs.folder import with_checkpoint
from hardneg.runs.mining_setting import open_setting, stored_sources
from hardneg.serving.from_index import opens
from hardneg.system import distributed, process_group
from hardneg.system.cache import owner_name
from hardneg.system.counts_in_words import QUERIES, counted

log = logging.getLogger(__name__)


def mine(cfg: DictConfig) -> None:
    """Mine every chosen source, print the outcome, and write report, figure and export into the run folder."""
    cfg = with_checkpoint(cfg)
    check_data_named(cfg)
    check_export(cfg.export.form, cfg.export.path)
    sources = stored_sources(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    with process_group.from_launcher(cfg.device):
        setting = open_setting(cfg, sources, owner_name(folder), opens(cfg.from_index))
        for name, source in sources.items():
            source.mine(setting)
            if distributed.rank() == 0:
                tell(cfg, folder, name, source, setting.training)
        if distributed.rank() == 0:
            log.info("results: %s", folder)


def tell(cfg: DictConfig, folder: Path, name: str, source: Stored, training: TrainingSet) -> None:
    """Print the source's table; write NAME.md, NAME.png, NAME.json and the export."""
    store, numbers = source.store, source.report()
    assert store is not None
    show(name, store, numbers)
    for alarm in of_lists(name, numbers, Thresholds()):
        log.warning("ALARM %s: %s", name, alarm.text)
    (folder / f"{name}.md").write_text(report(name, store, numbers, training, source.pool, cfg.samples), "utf-8")
    draw(folder / f"{name}.png", name, store, source.pool)
    facts = {"store": store.folder.name, **numbers, "card": store.card}
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=2), "utf-8")
    log.info("%s: store %s, report %s", name, store.folder.name, folder / f"{name}.md")
    if cfg.export.form is not None:
        path = Path(cfg.export.path or folder / f"{name}.jsonl")
        if cfg.export.path is not None and len(cfg.negatives) > 1:
            path = path.with_stem(f"{path.stem}_{name}")
        count = export(store, training, source.k, cfg.export.form, path)
        log.info(
            "%s: %s (%s, the hardest negatives.%s.k=%d) in %s",
            name,
            counted(count, "record"),
            cfg.export.form,
            name,
            source.k,
            path,
        )
        for says in not_written(cfg, store, training, source.k):
            log.info("%s: %s", name, says)


def not_written(cfg: DictConfig, store: Store, training: TrainingSet, k: int) -> Iterator[str]:
    """Say which queries an export lacks: those held out of train, and those with too few negatives."""
    held = sum(len(judged.query_rows) for split, judged in training.data.qrels.items() if split in ("dev", "test"))
    shares = [key for key in ("dev_share", "test_share") if cfg.data.get(key)]
    if held and shares and cfg.split == TRAIN and Path(str(cfg.data.get("path"))).expanduser().is_file():
        everything = " ".join(f"data.{key}=0" for key in shares)
        yield f"{counted(held, *QUERIES)} held out for dev and test ({everything} mines all)"
    if short := left_out(store, training, k, cfg.export.form):
        few = f"fewer than {k} negatives" if cfg.export.form == "n_tuple" else "no negatives"
        yield f"{counted(short, *QUERIES)} left out: {few}"
