"""What a run that only mines works with: sources, data, filters and an encoder, from the config."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import lightning as L
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.open_set import open_set
from hardneg.data.prompts import tell_prompts
from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet
from hardneg.encoders import checkpoint
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter, prepared
from hardneg.filters.known_positives import warn_of_positives
from hardneg.filters.same_set import SameSet
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.retrieval.model import Model, VectorSource
from hardneg.system import distributed
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.teachers.guide_vectors import guide

log = logging.getLogger(__name__)

OpenVectors = Callable[[RetrievalData], VectorSource]  # opens existing vectors, such as those of an index


def stored_sources(cfg: DictConfig) -> dict[str, Stored]:
    """Make the sources; raises `ConfigError` for one that is not mined."""
    sources = classes.build_group(cfg.negatives, "negatives")
    if others := [name for name, source in sources.items() if not isinstance(source, Stored)]:
        raise ConfigError(f"negatives={','.join(others)}: nothing is mined for these; leave them out")
    return sources


def open_setting(
    cfg: DictConfig, sources: dict[str, Stored], owner: str | None = None, vectors: OpenVectors | None = None
) -> Setting:
    """Load the data, prepare the filters, and open the encoder, with `vectors` of its own, if a source wants it."""
    L.seed_everything(cfg.seed, verbose=False)
    data: RetrievalData = open_set(classes.build(cfg.data), Path(cfg.cache))
    training = TrainingSet(data, cfg.split)
    documents, queries = counted(len(data.corpus), "document"), counted(len(training.queries), *QUERIES)
    log.info("data %s: %s, %s to mine for", data.name, documents, queries)
    filters = filters_for_mining(cfg, training)
    warn_of_live(filters)
    warn_of_positives(filters.values())
    wanted = any(source.follows_model for source in sources.values())
    model = open_model(cfg, data) if wanted else None
    if model is not None and vectors is not None:
        model = replace(model, embedded=vectors(data))
    if model is None:
        tell_of_checkpoints(cfg, data, sources)
    return Setting(training, filters, Path(cfg.cache), model, owner, cfg.device)


def filters_for_mining(cfg: DictConfig, training: TrainingSet) -> dict[str, CandidateFilter]:
    """Make the filters and let them build what they look up; a guide embeds the corpus where it judges mined lists."""
    filters = prepared(classes.build_group(cfg.filter, "filter"), training)
    judging = {name: rule for name, rule in filters.items() if rule.at != "live"}
    guide(judging, training, "all", Path(cfg.cache), cfg.device)
    return filters


def warn_of_live(filters: Mapping[str, CandidateFilter]) -> None:
    """Warn of filters that judge live batches alone, of which mining on its own has none."""
    for name, rule in filters.items():
        if rule.at == "live" and not isinstance(rule, SameSet):  # mined lists are of one set anyway
            # A rule of some sources judges nothing in mined lists, whose candidates are all of one called "mined".
            mend = "" if rule.sources else f"; filter.{name}.at=mined has it judge these"
            log.warning(
                "filter=%s does nothing here: it judges live batches alone (filter.%s.at=live), and there are only"
                " mined lists%s",
                *(name, name, mend),
            )


def tell_of_checkpoints(cfg: DictConfig, data: RetrievalData, sources: Mapping[str, Stored]) -> None:
    """Log the prompts that data have for their queries where a miner reads them with a checkpoint of its own."""
    own = [one for source in sources.values() for one in source.miner.encoders if one.ckpt_path is not None]
    if own:
        tell_prompts(data, own[0].model(data, Path(cfg.cache), cfg.device).recipe.query.prompt)
        own[0].put_away()  # until it mines


def open_model(cfg: DictConfig, data: RetrievalData) -> Model:
    """Load the checkpoint's encoder, or, untrained by us, the one that the config describes.

    It stands for the model in training, which reads the data's prompts also before its first step.
    """
    if cfg.ckpt_path is not None:
        trained = checkpoint.load(cfg.ckpt_path)
    else:
        trained = checkpoint.Trained.as_it_comes(classes.build(cfg.encoder), data.corpus, data.queries)
    tell_prompts(data, trained.recipe.query.prompt)
    return Model.of(trained, data, cfg.precision, Path(cfg.cache), distributed.device(cfg.device))
