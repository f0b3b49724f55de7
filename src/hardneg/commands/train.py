"""hardneg train: one run, from data to a run folder."""

from __future__ import annotations

import time
from pathlib import Path

from omegaconf import DictConfig
from tokenizers import Tokenizer

from hardneg.config import classes
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.tokens import token_tables
from hardneg.data.training_set import TrainingSet
from hardneg.encoders import checkpoint
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.towers import Towers
from hardneg.filters.base import CandidateFilter
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.preflight.config import check_config
from hardneg.preflight.machine import check_machine
from hardneg.retrieval.model import Model
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.runs.folder import with_checkpoint
from hardneg.serving.from_index import StoredVectors
from hardneg.system.cache import owner_name
from hardneg.training.fit import evaluation, fit, mining
from hardneg.training.module import DualEncoder
from hardneg.training.ranks import joined
from hardneg.training.setup import Negatives, begin, objective, own_device, prepare_filters, prepare_negatives


def train(cfg: DictConfig) -> float | None:
    """Train, evaluate and write the run folder; return the best dev metric, which optimising sweepers read."""
    started = time.perf_counter()
    check_config(cfg)
    cfg = with_checkpoint(cfg)
    check_machine(cfg)
    with joined(cfg):
        return _train(cfg, started)


def _train(cfg: DictConfig, started: float) -> float | None:
    folder, training = begin(cfg)
    data = training.data
    stored = None if cfg.from_index is None else StoredVectors(cfg.from_index, data)
    recipe: EncoderRecipe = classes.build(cfg.encoder).resolved()
    tokenizer = words_of(cfg, recipe, training)
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
    model = Model(module.towers, recipe, queries, docs, precision, tokenizer, embedded=stored)
    evaluate = evaluation(cfg, retriever)
    watching = mining(cfg, folder, negatives, setting, model, evaluate)
    return fit(cfg, folder, module, batches, evaluate, negatives, watching, started)


def words_of(cfg: DictConfig, recipe: EncoderRecipe, training: TrainingSet) -> Tokenizer:
    """The encoder's tokenizer; one that was made from a corpus stays that of the checkpoint that a run starts from."""
    if recipe.starts_random and cfg.init_from is not None:
        return checkpoint.tokenizer_of(cfg.ckpt_path or cfg.init_from)
    return recipe.tokenizer(training.data.corpus, training.asked)


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
        card=checkpoint.card(classes.plain(cfg.encoder), recipe, tokenizer, towers),
    )
