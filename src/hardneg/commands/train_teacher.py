"""hardneg train-teacher: train a cross-encoder on the same data and negatives as a dual encoder."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import TrainingRows
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.encoders import checkpoint
from hardneg.encoders.cross_encoder import PairRecipe
from hardneg.encoders.precision import resolve_precision
from hardneg.mining.baseline import baseline_run
from hardneg.negatives.mixture import Mixture
from hardneg.preflight.machine import check_machine
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.retriever import seen
from hardneg.retrieval.test_sets import load_others
from hardneg.training.begin import begin
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.fit import evaluation, fit
from hardneg.training.objective import check_groups, make_losses, objective
from hardneg.training.pair_module import PairCollate, PairModule
from hardneg.training.prepare_negatives import prepare_negatives, setting_of
from hardneg.training.ranks import joined

log = logging.getLogger(__name__)


def train_teacher(cfg: DictConfig) -> float | None:
    """Train, rerank the first stage, and write the run folder, the model in `teacher/`; return the best dev metric."""
    started = time.perf_counter()
    check_machine(cfg)
    with joined(cfg):
        return _train(cfg, started)


def _train(cfg: DictConfig, started: float) -> float | None:
    folder, training = begin(cfg)
    also = load_others(cfg, training.data, splits_of(cfg.split.test), begun=cfg.ckpt_path is not None)
    cache = Path(cfg.cache)
    recipe: PairRecipe = classes.build(cfg.encoder)
    precision = resolve_precision(cfg.trainer.precision, recipe, cfg.trainer.accelerator)
    losses = make_losses(cfg, training.data)
    check_groups(cfg, losses, recipe.build)
    setting = setting_of(cfg, folder, training)
    negatives = prepare_negatives(cfg, setting, losses)
    mixture = Mixture(negatives.offline, negatives.names, cfg.seed, per_set=negatives.per_set)
    network = recipe.build()
    if cfg.ckpt_path is not None:
        checkpoint.check_fits(cfg.ckpt_path, network, "network.")  # now: Lightning looks once the lists are made
    rows = TrainingRows(training, mixture, cfg.positives)
    collate = PairCollate(network.tokens, training, mixture.has_teacher)
    batches = Batches(rows, collate, cfg.batch_size, cfg.seed, cfg.num_workers, training.order)
    module = PairModule(network, recipe, objective(cfg, negatives, setting.filters, losses))
    bm25 = classes.build(cfg.evaluate.bm25)

    def retriever_of(data: RetrievalData) -> Reranker:
        """Make what reranks the first stage's documents in a data set."""
        left_out = seen(data, None)
        return Reranker(
            data, lambda split, depth: baseline_run(bm25, data, split, depth, cache, left_out), precision, left_out
        )

    evaluate = evaluation(cfg, training.data, also, retriever_of)
    tell_what_is_reranked(evaluate, begun=cfg.ckpt_path is not None)
    return fit(cfg, folder, module, batches, evaluate, negatives, [], started)


def tell_what_is_reranked(evaluate: Evaluate, begun: bool) -> None:
    """Log how many pairs evaluation scores, which may take longer than training, and the keys that decide it.

    A run that has `begun` was tested before training then.
    """
    depth, own = evaluate.depth, evaluate.retriever.data
    asked = [] if evaluate.dev is None else [f"{_pairs(own, evaluate.dev, depth)} of dev at each evaluation"]
    when = "before training and at the end" if evaluate.test_before and not begun else "at the end"
    asked += [f"{_pairs(one.data, one.split, depth)} of {one.name or one.split} {when}" for one in evaluate.tests]
    if asked:
        log.info(
            "pairs to rerank: %s; evaluate.depth=%d documents a query, and a smaller depth takes less time",
            *(", ".join(asked), depth),
        )


def _pairs(data: RetrievalData, split: str, depth: int) -> str:
    return f"{len(data.split(split).query_rows) * min(depth, len(data.corpus)):,}"
