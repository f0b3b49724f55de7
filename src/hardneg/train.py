"""hardneg train: one run, from data to a run folder."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tokenizers import Tokenizer

from hardneg import checkpoint, configs, preflight
from hardneg.alarms import Thresholds
from hardneg.callbacks.alarms import Alarms
from hardneg.callbacks.console import Bar, EpochLine
from hardneg.callbacks.curriculum import FollowCurriculum
from hardneg.callbacks.evaluate import Evaluate
from hardneg.callbacks.interrupt import SaveOnSigterm, orderly_stop
from hardneg.callbacks.keep import LAST, best_checkpoint, last_checkpoints
from hardneg.callbacks.progress import Progress
from hardneg.callbacks.remine import Remine
from hardneg.callbacks.stores import NoteStores
from hardneg.closing import close
from hardneg.data.cache import owner_name
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import token_tables
from hardneg.data.training import TrainingSet
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import Towers
from hardneg.filters.base import CandidateFilter
from hardneg.module import DualEncoder
from hardneg.negatives.base import OfflineSource, OnlineSource, Setting
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.stored import Stored
from hardneg.optimised import Objective, Optimised
from hardneg.precision import resolve_precision
from hardneg.retrieval.model import Model
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.runlog.session import loggers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Negatives:
    """The run's negative sources, told apart by where they live, and the labels of all candidates."""

    offline: dict[str, OfflineSource]
    online: dict[str, OnlineSource]
    curriculum: Curriculum | None = None

    @property
    def stored(self) -> dict[str, Stored]:
        """Those that draw from mined lists."""
        return {name: source for name, source in self.offline.items() if isinstance(source, Stored)}

    @property
    def names(self) -> tuple[str, ...]:
        """Label 0 is the positive; the others are the config's keys."""
        return ("positive", *self.offline, *self.online)


def train(cfg: DictConfig) -> float | None:
    """Train, evaluate and write the run folder; return the best dev metric, which optimising sweepers read."""
    started = time.perf_counter()
    folder, training = begin(cfg)
    data = training.data
    recipe: EncoderRecipe = configs.build(cfg.encoder)
    tokenizer = recipe.tokenizer(data.corpus, training.asked)
    cache = Path(cfg.cache)
    queries, docs = token_tables(data, tokenizer, recipe.query, recipe.document, cache)
    precision = resolve_precision(cfg.trainer.precision, recipe, cfg.trainer.accelerator)
    retriever = Retriever(data, queries, docs, precision, seen(data, cfg.evaluate.leave_out))

    filters = prepare_filters(cfg, training)
    setting = Setting(
        training, filters, cache, owner=owner_name(folder), device=own_device(cfg), positives=cfg.positives
    )
    negatives = prepare_negatives(cfg, setting)
    mixture = Mixture(negatives.offline, negatives.names, cfg.seed, negatives.curriculum)
    batches = Batches(
        TrainingRows(training, mixture, cfg.positives),
        Collate(queries, docs, training, mixture.has_teacher),
        cfg.batch_size,
        cfg.seed,
        cfg.num_workers,
        training.order,
    )
    module = make_module(cfg, recipe, tokenizer, negatives, filters)
    model = Model(module.towers, recipe, queries, docs, precision)
    evaluate = evaluation(cfg, retriever)
    watching = mining(cfg, folder, negatives, setting, model, evaluate)
    return fit(cfg, folder, module, batches, evaluate, negatives, watching, started)


def begin(cfg: DictConfig) -> tuple[Path, TrainingSet]:
    """Check the config, seed, load the data and return the run folder and what is trained on."""
    preflight.check(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    L.seed_everything(cfg.seed, verbose=False)
    data: RetrievalData = configs.build(cfg.data).load()
    training = TrainingSet(data, cfg.split.train)
    for split in filter(None, (cfg.split.dev, cfg.split.test)):
        data.split(split)  # now, not after the first epoch
    log.info(describe(data))
    return folder, training


def evaluation(cfg: DictConfig, retriever: Retriever | Reranker) -> Evaluate:
    """Make the callback that evaluates, as the config asks."""
    return Evaluate(
        retriever,
        dev=cfg.split.dev,
        before=cfg.split.test if cfg.evaluate.before else None,
        metrics=list(cfg.evaluate.metrics),
        depth=cfg.evaluate.depth,
        every_n_epochs=cfg.evaluate.every_n_epochs,
    )


def fit(
    cfg: DictConfig,
    folder: Path,
    module: Optimised,
    batches: Batches,
    evaluate: Evaluate,
    negatives: Negatives,
    watching: list[L.Callback],
    started: float,
) -> float | None:
    """Train and close the run; return the best dev metric. `watching` are callbacks beside those of every run."""
    with loggers(cfg.logger, facts(cfg, folder, evaluate.retriever.data)) as opened:
        trainer: L.Trainer = configs.build(
            {**configs.plain(cfg.trainer), "precision": evaluate.retriever.precision},
            logger=opened,
            callbacks=callbacks(cfg, folder, evaluate, [NoteStores(negatives.stored, folder), *watching]),
            default_root_dir=folder,
            use_distributed_sampler=False,  # our sampler knows the ranks
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        if cfg.ckpt_path is None:
            report_mining(trainer, negatives)
        with orderly_stop(trainer):
            trainer.fit(module, batches, ckpt_path=cfg.ckpt_path)
        return close(cfg, folder, trainer, module, evaluate, time.perf_counter() - started)


def own_device(cfg: DictConfig) -> str:
    """Where weights that are not trained compute: beside those that are."""
    return "cpu" if cfg.trainer.accelerator == "cpu" else "auto"


def describe(data: RetrievalData) -> str:
    """Say in one line what is trained on."""
    splits = ", ".join(f"{name} {len(qrels.query_rows)}" for name, qrels in data.qrels.items())
    skipped = f"; rows skipped: {sum(data.skipped.values())}" if data.skipped else ""
    sets = f"; sets: {', '.join(f'{p.name} {len(p.docs)} documents' for p in data.mixed)}" if data.mixed else ""
    return f"data {data.name}: {len(data.corpus)} documents; queries: {splits}{sets}{skipped}"


def prepare_filters(cfg: DictConfig, training: TrainingSet) -> dict[str, CandidateFilter]:
    """Make the filters and let them build what they look up."""
    filters: dict[str, CandidateFilter] = configs.build_group(cfg.filter, "filter")
    for rule in filters.values():
        rule.prepare(training)
    return filters


def prepare_negatives(cfg: DictConfig, setting: Setting) -> Negatives:
    """Make the sources and let them get ready: the offline ones mine or open what they draw from."""
    sources = configs.build_group(cfg.negatives, "negatives")
    offline = {name: source for name, source in sources.items() if isinstance(source, OfflineSource)}
    online = {name: source for name, source in sources.items() if isinstance(source, OnlineSource)}
    curriculum: Curriculum | None = configs.build(cfg.curriculum) if cfg.get("curriculum") else None
    if curriculum is not None:
        curriculum.fit(sources)
    for source in offline.values():
        source.prepare(setting)
    for asked in online.values():
        asked.prepare(setting)
    return Negatives(offline, online, curriculum)


def objective(cfg: DictConfig, negatives: Negatives, filters: dict[str, CandidateFilter]) -> Objective:
    """Make losses, optimizer and schedule."""
    return Objective(
        filters=filters,
        losses=configs.build_group(cfg.loss, "loss"),
        names=negatives.names,
        optimizer=configs.build(cfg.optimizer),
        schedule=configs.build(cfg.schedule),
        seed=cfg.seed,
    )


def make_module(
    cfg: DictConfig,
    recipe: EncoderRecipe,
    tokenizer: Tokenizer,
    negatives: Negatives,
    filters: dict[str, CandidateFilter],
) -> DualEncoder:
    """Load the starting weights and put the training step together."""
    towers = Towers(recipe, recipe.build(tokenizer))
    if cfg.init_from is not None and cfg.ckpt_path is None:  # a run that goes on has its weights
        checkpoint.start_from(cfg.init_from, recipe, tokenizer, towers)
    return DualEncoder(
        towers=towers,
        sources=negatives.online,
        objective=objective(cfg, negatives, filters),
        card=checkpoint.card(configs.plain(cfg.encoder), recipe, tokenizer, towers),
    )


def mining(
    cfg: DictConfig, folder: Path, negatives: Negatives, setting: Setting, model: Model, evaluate: Evaluate
) -> list[L.Callback]:
    """The callbacks that follow a curriculum, watch the mined sources, and mine for those that follow the model."""
    stored = negatives.stored
    following = {name: source for name, source in stored.items() if source.follows_model}
    found: list[L.Callback] = []
    if negatives.curriculum is not None:
        found.append(FollowCurriculum(negatives.curriculum, stored))
    if stored:
        metrics = list(dict.fromkeys([cfg.evaluate.best, *cfg.evaluate.metrics]))
        found.append(Alarms(stored, evaluate, setting.training, folder, Thresholds(**cfg.alarms), metrics))
    if following:
        found.append(Remine(following, setting, model, **configs.plain(cfg.remine), curriculum=negatives.curriculum))
    return found


def callbacks(cfg: DictConfig, folder: Path, evaluate: Evaluate, mined: list[L.Callback]) -> list[L.Callback]:
    """The run's own callbacks, and those that the config adds; a new round comes after the old one's evaluation."""
    kept = folder / "checkpoints"
    own: list[L.Callback] = [SaveOnSigterm(kept / LAST), evaluate, EpochLine(), Progress(folder, evaluate), *mined]
    if cfg.trainer.enable_progress_bar:
        own.append(Bar())
    own += last_checkpoints(kept, cfg.checkpoint.every_n_steps)
    if cfg.split.dev is not None:
        own.append(best_checkpoint(kept, cfg.evaluate.best))
    return own + list(configs.build_group(cfg.callbacks, "callbacks").values())


def facts(cfg: DictConfig, folder: Path, data: RetrievalData) -> dict[str, Any]:
    """What a logger may want to know of the run."""
    sweep = (folder.parent / "multirun.yaml").exists()
    flat = {
        "run_folder": str(folder),  # where `hardneg compare` finds the per-query values of a W&B run
        "data_id": data.name,
        "encoder_id": str(cfg.encoder.get("model") or cfg.encoder._target_.rsplit(".", 1)[-1].lower()),
        "negatives_id": "+".join(cfg.negatives),
        "loss_id": "+".join(cfg.loss),
        "filter_id": "+".join(cfg.filter),
    }
    return {
        "folder": folder,
        "name": cfg.run_name,
        "group": folder.parent.name if sweep else None,
        "tags": [*cfg.negatives, *cfg.loss, data.name],
        "config": {**configs.plain(cfg), **flat},
        "inputs": inputs(configs.plain(cfg)),
        "best": [f"val/{metric}" for metric in cfg.evaluate.metrics],
    }


def inputs(node: dict[str, Any]) -> dict[str, str]:
    """The checkpoints that a run takes from others, by config key: to start from, to mine and to score with."""
    found: dict[str, str] = {}
    if node.get("init_from"):
        found["init_from"] = node["init_from"]
    for path, inner in configs.targets(node):
        given = inner.get("ckpt_path")
        if given is not None and given not in found.values():  # a teacher stands in each source that asks it, too
            found[f"{path}.ckpt_path"] = given
    return found


def report_mining(trainer: L.Trainer, negatives: Negatives) -> None:
    """Log how mining came out, on screen and as metrics of step 0."""
    for name, source in negatives.offline.items():
        if report := source.report():
            log.info("%s: %s", name, ", ".join(f"{key} {value:.3g}" for key, value in report.items()))
            for logger in trainer.loggers:
                logger.log_metrics({f"mining/{name}/{key}": value for key, value in report.items()}, step=0)
