"""hardneg train-teacher: train a cross-encoder on the same data and negatives as a dual encoder."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import lightning as L
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg import configs, distributed, preflight
from hardneg.callbacks.evaluate import Evaluate
from hardneg.callbacks.interrupt import orderly_stop
from hardneg.closing import close
from hardneg.data.cache import owner_name
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import TrainingRows
from hardneg.data.tables import RetrievalData
from hardneg.data.training import TrainingSet
from hardneg.encoders.pairs import PairRecipe
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.pair_module import PairCollate, PairModule
from hardneg.precision import resolve_precision
from hardneg.retrieval.reranker import Reranker
from hardneg.runlog.session import loggers
from hardneg.train import (
    callbacks,
    describe,
    facts,
    own_device,
    prepare_filters,
    prepare_negatives,
    refuse_used,
    report_mining,
)

log = logging.getLogger(__name__)


def train_teacher(cfg: DictConfig) -> float | None:
    """Train, rerank the first stage, and write the run folder, the model in `teacher/`; return the best dev metric."""
    started = time.perf_counter()
    preflight.check(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    refuse_used(folder, cfg.ckpt_path)
    L.seed_everything(cfg.seed, verbose=False)

    data: RetrievalData = configs.build(cfg.data).load()
    training = TrainingSet(data, cfg.split.train)
    for split in filter(None, (cfg.split.dev, cfg.split.test)):
        data.split(split)  # now, not after the first epoch
    log.info(describe(data))

    recipe: PairRecipe = configs.build(cfg.encoder)
    precision = resolve_precision(cfg.trainer.precision, recipe, cfg.trainer.accelerator)
    filters = prepare_filters(cfg, training)
    negatives = prepare_negatives(
        cfg, Setting(training, filters, Path(cfg.cache), owner=owner_name(folder), device=own_device(cfg))
    )
    mixture = Mixture(negatives.offline, negatives.names, cfg.seed)
    network = recipe.build()
    rows, collate = TrainingRows(training, mixture), PairCollate(network.tokens, training)
    batches = Batches(rows, collate, cfg.batch_size, cfg.seed, cfg.num_workers)
    module = PairModule(
        network=network,
        recipe=recipe,
        filters=filters,
        losses=configs.build_group(cfg.loss, "loss"),
        names=negatives.names,
        optimizer=configs.build(cfg.optimizer),
        schedule=configs.build(cfg.schedule),
        seed=cfg.seed,
    )
    evaluate = Evaluate(
        Reranker(data, configs.build(cfg.evaluate.bm25), precision, Path(cfg.cache)),
        dev=cfg.split.dev,
        before=cfg.split.test if cfg.evaluate.before else None,
        metrics=list(cfg.evaluate.metrics),
        depth=cfg.evaluate.depth,
        every_n_epochs=cfg.evaluate.every_n_epochs,
    )
    with loggers(cfg.logger, facts(cfg, folder, data)) as opened:
        trainer: L.Trainer = configs.build(
            {**configs.plain(cfg.trainer), "precision": precision},
            logger=opened,
            callbacks=callbacks(cfg, folder, evaluate, []),
            default_root_dir=folder,
            use_distributed_sampler=False,  # our sampler knows the ranks
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        if cfg.ckpt_path is None:
            report_mining(trainer, negatives)
        with orderly_stop(trainer):
            trainer.fit(module, batches, ckpt_path=cfg.ckpt_path)
        best = close(cfg, folder, trainer, module, evaluate, time.perf_counter() - started)
    if distributed.rank() == 0:
        network.save(folder / "teacher")
        log.info("teacher=cross_encoder teacher.model=%s", folder / "teacher")
    return best
