"""The end of a run: test its best checkpoint beside the baselines and write the run folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.config.run_summary import write_summary
from hardneg.data.tables import RetrievalData
from hardneg.encoders.file_hashes import check_intact
from hardneg.errors import ConfigError
from hardneg.mining.baseline import baseline_metrics
from hardneg.retrieval.metrics import per_query
from hardneg.retrieval.test_sets import fingerprints, nested_runs
from hardneg.runlog.files import METRICS
from hardneg.runs import figure, results
from hardneg.runs.folder import BEST, CHECKPOINTS, LAST
from hardneg.runs.provenance import other_paths
from hardneg.system import agreement, distributed, split_weights
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.judge_negatives import judged
from hardneg.training.callbacks.throughput import overall
from hardneg.training.write_row import write_row

log = logging.getLogger(__name__)


def final_test(
    cfg: DictConfig,
    folder: Path,
    trainer: L.Trainer,
    module: TrainingModule,
    evaluate: Evaluate,
    seconds: float,
    told: Mapping[str, Any],
) -> float | None:
    """Write rankings, per_query.parquet, summary.json and figure.png, print the table; return the best dev metric.

    `told` is where the run comes from (see `hardneg.runs.provenance`). The ranking is test.run, of several test sets
    test/SET.run. Every rank takes part in the test; rank 0 writes. summary.json comes last: where it is, the run is
    complete.
    """
    kept = folder / CHECKPOINTS / (BEST if cfg.split.dev is not None else LAST)
    step = _load(kept, module, trainer)
    module.to(trainer.strategy.root_device)  # fit has moved them back to the CPU
    dev: dict[str, Any] = {}
    tested = _tested(cfg, module, evaluate)
    if evaluate.subset is not None:
        dev["documents"] = evaluate.subset.facts()
    if evaluate.compares:
        dev |= {"all": evaluate.compare_with_all(module, step), "agreement": evaluate.agreed}
    best = best_dev(evaluate)
    if distributed.rank() == 0:
        module.leave(folder)
        means, sets = results.means(tested), results.means_by_set(tested)
        if tested:
            _leave(cfg, folder, trainer, tested, means, sets)
        bars = {name: row[cfg.evaluate.best] for name, row in means.items()}
        drawn = (folder / "figure.png", folder / METRICS, evaluate.history, bars, cfg.evaluate.best)
        figure.draw(*drawn, len(sets))
        facts = _facts(cfg, folder, trainer, evaluate, seconds, told)
        found = {"dev": {"best": best, "history": evaluate.history, **dev}, "test": means}
        write_summary(folder, facts | found | ({"test_by_set": sets} if sets else {}))
        for logger in trainer.loggers:
            if keep := getattr(logger, "log_run", None):
                keep(folder, kept)
        log.info("run folder: %s", folder)
    agreement.barrier()
    return best


def best_dev(evaluate: Evaluate) -> float | None:
    """The best value of the dev metric since the first step; None where there was no evaluation."""
    return None if (point := evaluate.best_point) is None else point[f"val/{evaluate.best}"]


def check_all_see(kept: Path) -> None:
    """Raise `ConfigError` on every rank if one of them does not see the checkpoint that is to be tested."""
    blind = [str(number) for number, seen in enumerate(agreement.everyone(kept.exists())) if not seen]
    if blind:
        raise ConfigError(
            f"{kept} cannot be seen by rank {', '.join(blind)}, so there is no test of it; hydra.run.dir must be in a"
            " folder that all ranks share. `hardneg evaluate` tests it on one machine"
        )


def _load(kept: Path, module: TrainingModule, trainer: L.Trainer) -> int:
    """Load the checkpoint that is to be tested, where there is one; return the step of the weights."""
    if not agreement.first(kept.exists):  # as after fast_dev_run; what rank 0 tests, all test
        if distributed.rank() == 0:
            log.warning("%s does not exist: the weights of the last step are tested", kept)
        return trainer.global_step
    check_all_see(kept)
    check_intact(kept, "checkpoint")
    saved = torch.load(kept, map_location="cpu", weights_only=True)
    split_weights.load_weights(module, saved["state_dict"])
    agreement.agree("the weights to test", split_weights.weights_sum(module))
    return saved["global_step"]


def _facts(
    cfg: DictConfig, folder: Path, trainer: L.Trainer, evaluate: Evaluate, seconds: float, told: Mapping[str, Any]
) -> dict[str, Any]:
    """What the summary says of a run but for its results: settings, data, how long it took."""
    data = evaluate.retriever.data
    return {
        "name": cfg.run_name,
        "strategy": cfg.strategy_name,
        "loss": "+".join(cfg.loss),
        "seed": cfg.seed,
        **told,
        "data": data.name,
        "test_set": fingerprints(evaluate.tests),
        **other_paths(cfg),
        "sizes": sizes(data),
        **({} if data.query_prompt is None else {"query_prompt": data.query_prompt}),
        "encoder": classes.plain(cfg.encoder),
        "precision": evaluate.retriever.precision,
        "steps": trainer.global_step,
        "seconds": round(seconds, 1),
        "throughput": overall(trainer),
        **({"negatives": told_of} if (told_of := judged(trainer)) else {}),
    }


def _leave(
    cfg: DictConfig,
    folder: Path,
    trainer: L.Trainer,
    tested: Sequence[results.Tested],
    means: results.Means,
    sets: Mapping[str, results.Means],
) -> None:
    """Write what was measured into the run folder and to the loggers, and print the table."""
    results.write_runs(folder, tested, "test", cfg.run_name)
    results.write_per_query(folder / "per_query.parquet", tested)
    of_sets = {f"test/{name}/{k}": v for name, rows in sets.items() for k, v in rows["after"].items()}
    write_row(trainer, {f"test/{k}": v for k, v in means["after"].items()} | of_sets)
    results.tell(cfg.run_name, tested, means, sets)


def _tested(cfg: DictConfig, module: TrainingModule, evaluate: Evaluate) -> list[results.Tested]:
    """Rank every test set, and measure every row of the closing table query by query; the full width comes last."""
    ranked = nested_runs(evaluate.tests, module.ranker, cfg.evaluate.depth)
    before = evaluate.before if len(evaluate.before) == len(evaluate.tests) else [None] * len(evaluate.tests)
    tested = []
    for one, runs, earlier in zip(evaluate.tests, ranked, before, strict=True):
        systems = baseline_metrics(cfg, one.data, one.split, one.retriever.seen)
        if earlier is not None:
            systems["before"] = earlier
        qrels = one.data.split(one.split)
        systems |= {f"after{at}": per_query(run, qrels, one.data, evaluate.metrics) for at, run in runs.items()}
        tested.append(results.Tested(one.name, one.data, one.split, runs, systems))
    return tested


def sizes(data: RetrievalData) -> dict[str, Any]:
    """How many documents there are, and how many queries with a relevant one, by split."""
    return {"documents": len(data.corpus), "queries": {name: len(q.query_rows) for name, q in data.qrels.items()}}
