"""hardneg mine: the mining pipeline on its own, with a report."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import lightning as L
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg import checkpoint, configs, distributed, preflight
from hardneg.alarms import Thresholds, of_lists
from hardneg.data.cache import owner_name
from hardneg.data.tables import RetrievalData
from hardneg.data.training import TrainingSet
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.mining.export import check_export, export
from hardneg.mining.report import draw, report, show
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.precision import resolve_precision
from hardneg.retrieval.model import Model
from hardneg.serving.from_index import StoredVectors

log = logging.getLogger(__name__)


def mine(cfg: DictConfig) -> None:
    """Mine every chosen source, print how it came out, and write report, figure and export into the run folder."""
    preflight.check(cfg)
    check_export(cfg.export.form, cfg.export.path)
    sources = stored_sources(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    with distributed.from_torchrun():
        setting = open_setting(cfg, sources, owner_name(folder))
        for name, source in sources.items():
            source.mine(setting)
            if distributed.rank() == 0:
                tell(cfg, folder, name, source, setting.training)


def stored_sources(cfg: DictConfig) -> dict[str, Stored]:
    """Make the sources; raises `ConfigError` for one that is not mined."""
    sources = configs.build_group(cfg.negatives, "negatives")
    if others := [name for name, source in sources.items() if not isinstance(source, Stored)]:
        raise ConfigError(f"negatives={','.join(others)}: nothing is mined for these; leave them out")
    return sources


def open_setting(cfg: DictConfig, sources: dict[str, Stored], owner: str | None = None) -> Setting:
    """Load the data, prepare the filters, and open the encoder if a source wants it."""
    L.seed_everything(cfg.seed, verbose=False)
    data: RetrievalData = configs.build(cfg.data).load()
    training = TrainingSet(data, cfg.split)
    log.info("data %s: %d documents, %d queries to mine for", data.name, len(data.corpus), len(training.queries))
    filters = configs.build_group(cfg.filter, "filter")
    for rule in filters.values():
        rule.prepare(training)
    wanted = any(source.follows_model for source in sources.values())
    model = open_model(cfg, data) if wanted else None
    return Setting(training, filters, Path(cfg.cache), model, owner, cfg.device)


def open_model(cfg: DictConfig, data: RetrievalData) -> Model:
    """Load the checkpoint's encoder, or the one that the config describes, as it comes."""
    if cfg.ckpt_path is not None:
        trained = checkpoint.load(cfg.ckpt_path)
        recipe, tokenizer, towers = trained.recipe, trained.tokenizer, trained.towers
    else:
        recipe = configs.build(cfg.encoder)
        tokenizer = recipe.tokenizer(data.corpus, data.queries)
        towers = Towers(recipe, recipe.build(tokenizer))
    device = distributed.device(cfg.device)
    precision = resolve_precision(cfg.precision, recipe, str(device))
    model = Model.over(data, towers.to(device), recipe, tokenizer, precision, Path(cfg.cache))
    return model if cfg.from_index is None else replace(model, embedded=StoredVectors(cfg.from_index, data))


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
            "%s: %d records (%s, the hardest negatives.%s.k=%d) in %s",
            name,
            count,
            cfg.export.form,
            name,
            source.k,
            path,
        )
