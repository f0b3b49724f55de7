"""Fitting a module: its trainer, callbacks and loggers, from the config."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.config.refused_arguments import lightnings
from hardneg.data.datamodule import Batches
from hardneg.data.tables import RetrievalData
from hardneg.errors import Pruned
from hardneg.mining.alarm_rules import Thresholds
from hardneg.mining.baseline import baseline_run
from hardneg.mining.known_positives_found import BesideBM25
from hardneg.negatives.base import Setting
from hardneg.retrieval.metrics import QueryRankings, names_of, resolve
from hardneg.retrieval.model import Model
from hardneg.retrieval.test_sets import OtherSet, Ranks, test_sets
from hardneg.runlog.loggers import loggers
from hardneg.runs.folder import CHECKPOINTS, LAST
from hardneg.runs.provenance import provenance
from hardneg.runs.rungs import part_of
from hardneg.runs.trial import is_trial
from hardneg.system.counts_in_words import counted
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.console import Bar, EpochLine, StepLines
from hardneg.training.callbacks.cut_epoch import CutEpoch
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum
from hardneg.training.callbacks.follow_plateau import FollowPlateau
from hardneg.training.callbacks.interrupt import SaveOnSigterm, end_before_the_test, orderly_stop
from hardneg.training.callbacks.judge_negatives import JudgeNegatives
from hardneg.training.callbacks.keep_checkpoints import best_checkpoint, last_checkpoints
from hardneg.training.callbacks.kept_rate import KeptRate
from hardneg.training.callbacks.kept_temperatures import KeptTemperatures
from hardneg.training.callbacks.log_steps import LogSteps, NumberLastRow
from hardneg.training.callbacks.note_stores import NoteStores
from hardneg.training.callbacks.progress import NoteProgress
from hardneg.training.callbacks.prune import Prune, trial_of
from hardneg.training.callbacks.race_part import race_part
from hardneg.training.callbacks.remine import Remine
from hardneg.training.callbacks.stop_early import StopEarly
from hardneg.training.callbacks.swap_negatives import SwapNegatives
from hardneg.training.callbacks.throughput import Throughput
from hardneg.training.callbacks.watch_collapse import WatchCollapse
from hardneg.training.callbacks.watch_mining import Alarms
from hardneg.training.dev_subset import Chooser, SubsetSize
from hardneg.training.final_test import best_dev, final_test
from hardneg.training.precision import trainer_arguments
from hardneg.training.prepare_negatives import Negatives
from hardneg.training.profile import show_profile, write_profile
from hardneg.training.run_facts import facts
from hardneg.training.trainer_state import callbacks_of
from hardneg.training.whole_checkpoints import write_whole
from hardneg.training.write_row import write_mined

log = logging.getLogger(__name__)


def fit(
    cfg: DictConfig,
    folder: Path,
    module: TrainingModule,
    batches: Batches,
    evaluate: Evaluate,
    negatives: Negatives,
    watching: list[L.Callback],
    started: float,
) -> float | None:
    """Train and test the run; return the best dev metric. `watching` are callbacks beside those of every run.

    A trial (debug=NAME, trainer.fast_dev_run) ends without results: nothing may take it for a run. That of fast_dev_run
    has no logs or checkpoints either.
    """
    told = provenance(cfg)  # now: at the end somebody may have changed the code
    known = facts(cfg, folder, evaluate.retriever.data, told)
    with loggers({} if cfg.trainer.fast_dev_run else cfg.logger, known) as opened:
        asked = lightnings(classes.plain(cfg.trainer))
        trainer: L.Trainer = classes.build(
            {**asked, **trainer_arguments(evaluate.retriever.precision, asked.get("plugins"))},
            logger=opened,
            callbacks=callbacks(cfg, folder, evaluate, [NoteStores(negatives.stored, folder), *watching]),
            default_root_dir=folder,
            use_distributed_sampler=False,  # our sampler knows the ranks
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        # Where max_steps ends a run Lightning takes a checkpoint of an epoch's end for one of its middle, and a batch
        # of the next epoch for the last one of this.
        trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
        write_whole(trainer)
        write_profile(trainer, folder)
        if cfg.ckpt_path is None:
            report_mining(trainer, negatives)
        with orderly_stop(trainer):
            trainer.fit(module, batches, ckpt_path=cfg.ckpt_path)
        show_profile(trainer)
        if any(one.pruned for one in callbacks_of(trainer, Prune)):
            raise Pruned(best_dev(evaluate))
        if is_trial(cfg):
            name = f"debug={cfg.debug}" if cfg.get("debug") else "trainer.fast_dev_run"
            log.info("%s: %s done, in %s; a trial has no results", name, counted(trainer.global_step, "step"), folder)
            return None
        end_before_the_test(trainer, folder)
        best = final_test(cfg, folder, trainer, module, evaluate, time.perf_counter() - started, told)
        for one in callbacks_of(trainer, JudgeNegatives):
            one.tell(trainer, cfg, folder)
        return best


def evaluation(
    cfg: DictConfig, data: RetrievalData, also: Sequence[OtherSet], retriever_of: Callable[[RetrievalData], Ranks]
) -> Evaluate:
    """Make the callback that evaluates, as the config asks; `retriever_of` makes what ranks a data set's documents."""
    own = retriever_of(data)
    return Evaluate(
        own,
        dev=cfg.split.dev,
        tests=test_sets(own, cfg.split.test, also, retriever_of),
        test_before=cfg.evaluate.before,
        metrics=resolve(cfg.evaluate.metrics),
        depth=cfg.evaluate.depth,
        every_n_epochs=cfg.evaluate.every_n_epochs,
        every_n_steps=cfg.evaluate.every_n_steps,
        choose=chooser(cfg, own) if cfg.evaluate.get("documents", "all") == "subset" else None,
        best=cfg.evaluate.best,
    )


def chooser(cfg: DictConfig, retriever: Ranks) -> Chooser:
    """Make what chooses the documents that dev is ranked over in training."""
    data, dev, cache = retriever.data, cfg.split.dev, Path(cfg.cache)
    size = SubsetSize(**classes.plain(cfg.evaluate.subset))

    def ranked(depth: int) -> QueryRankings:
        return baseline_run(classes.build(cfg.evaluate.bm25), data, dev, depth, cache, retriever.seen)

    return Chooser(data, dev, size, None if cfg.evaluate.bm25 is None else ranked, cfg.evaluate.compare_with_all)


def mining(
    cfg: DictConfig, folder: Path, negatives: Negatives, setting: Setting, model: Model, evaluate: Evaluate
) -> list[L.Callback]:
    """The callbacks that follow a curriculum, watch the mined sources, mine with the model, and swap what is easy."""
    stored = negatives.stored
    following = {name: source for name, source in stored.items() if source.follows_model}
    at = Thresholds(**cfg.alarms)
    needed: list[L.Callback] = [WatchCollapse(at)]
    if negatives.offline:
        needed.append(JudgeNegatives(negatives.names[1:], negatives.offline, evaluate, at))
    if negatives.curriculum is not None:
        needed.append(FollowCurriculum(negatives.curriculum, stored))
    if stored:
        metrics = list(dict.fromkeys([cfg.evaluate.best, *names_of(cfg.evaluate.metrics)]))
        beside = None
        if cfg.evaluate.bm25 is not None and at.bm25_queries is not None:
            beside = BesideBM25(classes.build(cfg.evaluate.bm25), setting.training, setting.cache, at.bm25_queries)
        needed.append(Alarms(stored, evaluate, setting.training, folder, at, metrics, beside))
    if following:
        needed.append(Remine(following, setting, model, **classes.plain(cfg.remine), curriculum=negatives.curriculum))
    if any(source.swap is not None for source in stored.values()):
        needed.append(SwapNegatives(stored, negatives.names, negatives.curriculum))
    return needed


def callbacks(cfg: DictConfig, folder: Path, evaluate: Evaluate, mined: list[L.Callback]) -> list[L.Callback]:
    """The run's own callbacks, and those that the config adds; a new round comes after the old one's evaluation.

    What follows an evaluation does so in this order, and then the checkpoints: Lightning calls these last. A moving
    average comes before all that look at it.
    """
    kept, clock = folder / CHECKPOINTS, Throughput()
    added = list(classes.build_group(cfg.callbacks, "callbacks").values())
    own: list[L.Callback] = [one for one in added if isinstance(one, WeightAveraging)]
    own += [
        CutEpoch(),
        KeptRate(),
        KeptTemperatures(),
        SaveOnSigterm(kept / LAST),
        LogSteps(),
        clock,
        evaluate,
        FollowPlateau(evaluate),
        StopEarly(evaluate),
        EpochLine(evaluate),
    ]
    own += [] if cfg.trainer.fast_dev_run else [NoteProgress(folder, evaluate)]
    own += [] if (trial := trial_of(folder)) is None else [Prune(trial, evaluate, cfg.evaluate.best)]
    own += mined
    if cfg.trainer.enable_progress_bar:
        own.append(Bar())
    if not sys.stderr.isatty():
        own.append(StepLines())
    if cfg.split.dev is not None:  # first, so that the last state knows the best checkpoint that is on disk
        own.append(best_checkpoint(kept, cfg.evaluate.best, evaluate))
    own += last_checkpoints(kept, cfg.checkpoint.every_n_steps)
    own += race_part(part_of(folder), folder, evaluate, cfg.evaluate.best)
    return [*own, *(one for one in added if not isinstance(one, WeightAveraging)), clock.again(), NumberLastRow()]


def report_mining(trainer: L.Trainer, negatives: Negatives) -> None:
    """Log how mining came out, on screen and as metrics of step 0."""
    for name, source in negatives.offline.items():
        if report := source.report():
            write_mined(trainer, name, report, step=0)
