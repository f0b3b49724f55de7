"""hardneg train: one run, from data to a run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from tokenizers import Tokenizer

from hardneg.config import classes
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.other_sets import splits_of
from hardneg.data.prompts import tell_prompts
from hardneg.data.same_set_batches import Order
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable, token_tables
from hardneg.data.training_set import TrainingSet
from hardneg.encoders import checkpoint
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.fixed_shapes import Compiler
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.towers import Towers
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Weighed
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.negatives.mixture import Mixture, slots
from hardneg.preflight.machine import check_machine
from hardneg.preflight.trainer_arguments import check_compiled_prompt
from hardneg.retrieval.corpus_vectors import CorpusVectors
from hardneg.retrieval.held_vectors import HeldVectors
from hardneg.retrieval.model import Model
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.retrieval.test_sets import leave_out, load_others
from hardneg.runs.folder import with_checkpoint
from hardneg.serving.from_index import opens
from hardneg.system import distributed
from hardneg.system.cache import owner_name
from hardneg.system.screen import ONLY_IN_FILE
from hardneg.teachers.stored_vectors import StoredVectors
from hardneg.training.auto_numbers import tell_found
from hardneg.training.batch_size import settle, trial_batch, why_smaller, within_memory
from hardneg.training.batch_topics import batch_order, tell_topics
from hardneg.training.begin import begin, own_device
from hardneg.training.fit import evaluation, fit, mining
from hardneg.training.learning_rate import settle_rate
from hardneg.training.module import DualEncoder
from hardneg.training.objective import check_groups, make_losses, objective, teacher_vectors
from hardneg.training.prepare_negatives import Negatives, prepare_negatives, setting_of
from hardneg.training.ranks import joined
from hardneg.training.warmup_epochs import check_warmup

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | None:
    """Train, evaluate and write the run folder; return the best dev metric, which optimising sweepers read."""
    started = time.perf_counter()
    cfg = with_checkpoint(cfg)
    check_machine(cfg)
    with joined(cfg):
        return _train(cfg, started)


def _train(cfg: DictConfig, started: float) -> float | None:
    folder, training = begin(cfg)
    asked = cfg
    cfg = settle_rate(settle(asked, folder, training.order), folder, training.order)
    check_warmup(cfg, training.order)
    also = load_others(cfg, training.data, splits_of(cfg.split.test), begun=cfg.ckpt_path is not None)
    encoder = EncoderParts.of(cfg, training)
    tell_found(asked, cfg, encoder.precision, why_smaller(asked, training.order, cfg.batch_size))
    losses = make_losses(cfg, training.data)
    check_groups(cfg, losses, lambda: Towers(encoder.recipe, encoder.recipe.build(encoder.tokenizer)))
    setting = setting_of(cfg, folder, training)
    order = batch_order(cfg, training, folder)
    negatives = prepare_negatives(cfg, setting, losses)
    vectors = teacher_vectors(losses, setting)
    module = make_module(cfg, encoder, negatives, setting.filters, losses, vectors)
    group = cfg.positives + slots(negatives.offline, negatives.curriculum)
    device = distributed.device(own_device(cfg))
    tables = (encoder.queries, encoder.docs)
    online = negatives.online.values()
    tries = trial_batch(asked, module.towers, tables, encoder.precision, device, group, online)
    cfg = within_memory(cfg, folder, cfg.batch_size, tries)
    tell_topics(order, cfg.seed, cfg.batch_size * distributed.world_size())
    batches = make_batches(cfg, training, encoder, negatives, vectors, order)
    model = encoder.model(cfg, training, module.towers, corpus_vectors(cfg, folder, negatives))
    evaluate = evaluation(cfg, training.data, also, lambda data: encoder.retriever(cfg, training, model, data))
    watching = mining(cfg, folder, negatives, setting, model, evaluate)
    best = fit(cfg, folder, module, batches, evaluate, negatives, watching, started)
    if model.shared is not None:
        model.shared.remove()
    return best


@dataclass(frozen=True)
class EncoderParts:
    """An encoder without its weights, over the data that it is trained on."""

    recipe: EncoderRecipe
    tokenizer: Tokenizer
    queries: TokenTable
    docs: TokenTable
    precision: str

    @classmethod
    def of(cls, cfg: DictConfig, training: TrainingSet) -> EncoderParts:
        """Make what the config describes, and tokenise the data or open their tables."""
        recipe: EncoderRecipe = classes.build(cfg.encoder).resolved()
        if cfg.trainer.get("compile"):  # only now are the settings of a model on the hub known
            check_compiled_prompt(recipe.pools_prompt)
        if recipe.starts_random and cfg.init_from is not None:  # a corpus's vocabulary stays the checkpoint's
            tokenizer = checkpoint.tokenizer_of(cfg.ckpt_path or cfg.init_from)
        else:
            tokenizer = recipe.tokenizer(training.data.corpus, training.asked)
        tell_prompts(training.data, recipe.query.prompt)
        tables = token_tables(training.data, tokenizer, recipe.query, recipe.document, Path(cfg.cache))
        precision = resolve_precision(cfg.trainer.precision, recipe, cfg.trainer.accelerator)
        if cfg.trainer.precision == "auto" and distributed.rank() == 0:
            said = "precision: %s, as trainer.precision=auto takes it here"
            log.info(said, precision, extra=ONLY_IN_FILE)
        return cls(recipe, tokenizer, *tables, precision)

    def retriever(self, cfg: DictConfig, training: TrainingSet, model: Model, data: RetrievalData) -> Retriever:
        """Make what ranks the documents of a data set for evaluation: of the one that is trained on, or another.

        The former shares its vectors with mining by the same weights.
        """
        if data is training.data:
            left_out, vectors = seen(data, cfg.evaluate.leave_out), model.shared
            whole = None if vectors is None else lambda towers: vectors.of(model.with_towers(towers))
            return Retriever(data, self.queries, self.docs, self.precision, left_out, whole, HeldVectors())
        tell_prompts(data, self.recipe.query.prompt)
        tables = token_tables(data, self.tokenizer, self.recipe.query, self.recipe.document, Path(cfg.cache))
        return Retriever(data, *tables, self.precision, seen(data, leave_out(cfg, data)))

    def model(self, cfg: DictConfig, training: TrainingSet, towers: Towers, vectors: CorpusVectors | None) -> Model:
        """The encoder with these weights, for mining; `from_index` spares it embedding what an index holds."""
        stored = opens(cfg.from_index)
        embedded = None if stored is None else stored(training.data)
        tables = (self.queries, self.docs)
        return Model(towers, self.recipe, *tables, self.precision, self.tokenizer, embedded=embedded, shared=vectors)


def corpus_vectors(cfg: DictConfig, folder: Path, negatives: Negatives) -> CorpusVectors | None:
    """Where evaluation and mining share vectors; None where nothing mines with the model, or with what an index has."""
    if cfg.from_index is not None or not any(source.follows_model for source in negatives.stored.values()):
        return None
    return CorpusVectors(Path(cfg.cache) / "work" / f"vectors-{owner_name(folder)}")


def make_batches(
    cfg: DictConfig,
    training: TrainingSet,
    encoder: EncoderParts,
    negatives: Negatives,
    vectors: StoredVectors | None,
    order: Order | None,
) -> Batches:
    """Draw from the offline sources, look up the tokens, and stack; `order` null: that of the data sets."""
    mixture = Mixture(negatives.offline, negatives.names, cfg.seed, negatives.curriculum, negatives.per_set)
    return Batches(
        TrainingRows(training, mixture, cfg.positives),
        Collate(encoder.queries, encoder.docs, training, mixture.has_teacher, vectors),
        cfg.batch_size,
        cfg.seed,
        cfg.num_workers,
        order or training.order,
    )


def make_module(
    cfg: DictConfig,
    encoder: EncoderParts,
    negatives: Negatives,
    filters: Mapping[str, CandidateFilter],
    losses: Mapping[str, Weighed],
    vectors: StoredVectors | None = None,
) -> DualEncoder:
    """Load the starting weights and put the training step together; `vectors` are those of a teacher, if any."""
    recipe, tokenizer = encoder.recipe, encoder.tokenizer
    towers = Towers(recipe, recipe.build(tokenizer))
    if cfg.init_from is not None and cfg.ckpt_path is None:  # a resumed run has its own weights
        checkpoint.start_from(cfg.init_from, recipe, tokenizer, towers)
    if cfg.ckpt_path is not None:
        checkpoint.check_fits(cfg.ckpt_path, towers)  # now: Lightning looks after mining
        checkpoint.adopt(cfg.ckpt_path, towers)
    if cfg.trainer.get("compile"):
        towers.compiler = Compiler(longest=max(int(side.max_length) for side in (recipe.query, recipe.document)))
    for loss in losses.values():
        if isinstance(loss, EmbedDistill) and vectors is not None:
            loss.make_projection(towers.dim, vectors.dim)
    return DualEncoder(
        towers=towers,
        sources=negatives.online,
        objective=objective(cfg, negatives, filters, losses),
        card=checkpoint.card(classes.plain(cfg.encoder), recipe, tokenizer, towers),
    )
