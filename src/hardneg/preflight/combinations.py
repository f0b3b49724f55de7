"""Which parts of a config cannot work together, and why."""

from __future__ import annotations

from typing import Any

from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.filters.same_set import SameSet, check_sets
from hardneg.losses.base import VectorLoss, Weighed
from hardneg.matrix.telemetry import METRICS
from hardneg.mining.alarm_rules import Thresholds
from hardneg.negatives.base import OfflineSource, OnlineSource
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.queue import Queue
from hardneg.negatives.stored import Stored
from hardneg.preflight.averaging import averages, check_averaging
from hardneg.preflight.dev_metrics import check_dev_metrics, check_subset
from hardneg.preflight.filters import check_filters
from hardneg.preflight.losses import check_corrected_alike, check_losses, check_one_teacher, check_warmed_up
from hardneg.preflight.made import Made
from hardneg.preflight.ranges import check_ranges, check_remine
from hardneg.preflight.split_weights import check_split, splits_weights
from hardneg.preflight.temperatures import check_temperatures
from hardneg.training.blended_batches import reverse_across_sets


def check_sources(made: Made) -> None:
    """Raise `ConfigError` for what is no source, and for a teacher, an average or a filter that does not fit them."""
    sources = made.sources
    for name, source in sources.items():
        if not isinstance(source, OfflineSource | OnlineSource):
            raise ConfigError(f"negatives.{name} is a {type(source).__name__}, not a negative source")
    if made.node.get("teacher") and not any(source.has_teacher for source in sources.values()):
        live = (
            "; for a teacher of the batch's own pairs write, in place of teacher=,"
            " +teacher@negatives.in_batch.teacher=bi_encoder +encoder@negatives.in_batch.teacher.encoder=minilm"
        )
        raise ConfigError(
            f"teacher is given, but none of negatives=[{','.join(sources)}] has lists that it could score; add one, as"
            f" in negatives=[in_batch,bm25]{live if 'in_batch' in sources else ''}"
        )
    averaged = [name for name, source in sources.items() if needs_average(source)]
    if averaged and not averages(made.callbacks):
        raise ConfigError(
            f"negatives.{averaged[0]} mines with weights=average, and nothing keeps a moving average here; in hardneg"
            " train add callbacks=[ema], elsewhere take weights=current"
        )
    check_filters(made.filters, sources)


def needs_average(source: Any) -> bool:
    """Whether a source mines with a moving average of the model."""
    return isinstance(source, Stored) and source.miner.needs_average


def check_combination(made: Made) -> None:
    """Raise `ConfigError` for parts that cannot work together."""
    check_sources(made)
    node, sources = made.node, made.sources
    check_remine(node["remine"])
    following = [name for name, source in sources.items() if source.follows_model]
    if node["remine"]["warmup_epochs"] and following == list(sources):
        raise ConfigError(
            f"remine.warmup_epochs={node['remine']['warmup_epochs']} trains without negatives={','.join(following)},"
            " and there are no others; add some, as in negatives=[in_batch,mined]"
        )
    check_mining(node, following)
    check_swap(node, sources)
    check_split(made)
    check_averaging(made)
    losses = made.losses
    check_losses(losses, sources)
    check_warmed_up(node, losses, [name for name in sources if name not in following])
    check_one_teacher(node, losses, sources)
    check_temperatures(made)
    check_offline_only(made)
    check_symmetric_in_blended(made)
    check_queues(node, sources)
    if made.curriculum is not None:
        check_curriculum(made.curriculum, sources, losses)
    check_corrected_alike(node, losses, sources, made.curriculum)
    check_frozen(node, made.alone["encoder"])
    check_dev_metrics(made)
    check_ranges(node, ("num_workers", "batch_size"))
    check_subset(node)
    of_batch = all(source.of_batch for source in sources.values())
    if node["batch_size"] == 1 and of_batch:
        raise ConfigError(
            f"batch_size={node['batch_size']} leaves negatives=[{','.join(sources)}] none; use a larger batch_size"
        )


def check_queues(node: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` for a queue's correction of popularity where it holds documents of several sets."""
    queues = [name for name, source in sources.items() if isinstance(source, Queue) and source.logq]
    if node["data"].get("sets") and queues:
        raise ConfigError(
            f"negatives.{queues[0]}.logq=true corrects for the popularity in one data set, and the queue holds"
            f" documents of all of data.sets; set negatives.{queues[0]}.logq=false"
        )


def check_offline_only(made: Made) -> None:
    """Raise `ConfigError` where sets without online negatives do not exist, have no others, or get some anyway."""
    node, sources, losses = made.node, made.sources, made.losses
    chosen = [name for rule in made.filters.values() if isinstance(rule, SameSet) for name in rule.offline_only]
    if not chosen:
        return
    check_sets(chosen, list(node["data"].get("sets", ())))
    offline = {name: source for name, source in sources.items() if isinstance(source, OfflineSource)}
    if node["remine"]["warmup_epochs"]:
        offline = {name: source for name, source in offline.items() if not source.follows_model}
    if not offline:
        raise ConfigError(
            f"filter.same_set.offline_only={','.join(chosen)} leaves these sets none of negatives=[{','.join(sources)}]"
            " (in the warm-up, if there is one); add a source that names documents, as in negatives=[in_batch,bm25]"
        )
    if symmetric := [name for name, loss in losses.items() if loss.needs_reverse]:
        raise ConfigError(
            f"loss.{symmetric[0]}.symmetric=true sets documents against the batch's queries, which"
            f" filter.same_set.offline_only={','.join(chosen)} switches off; set loss.{symmetric[0]}.symmetric=false"
        )


def check_symmetric_in_blended(made: Made) -> None:
    """Raise `ConfigError` where documents would be set against queries of the sets that a filter keeps apart."""
    blended = made.node["data"].get("batches") == "blended"
    if blended and (both := reverse_across_sets(made.losses, made.filters)) is not None:
        loss, rule = both
        raise ConfigError(
            f"loss.{loss}.symmetric=true sets documents against the batch's queries, which data.batches=blended takes"
            f" from all sets and filter={rule} does not keep apart; set loss.{loss}.symmetric=false or"
            " data.batches=same_set"
        )


def check_mining(node: dict[str, Any], following: list[str]) -> None:
    """Raise `ConfigError` where the sources that follow the model would never mine, or not as asked."""
    Thresholds(**node["alarms"])
    warmup, epochs = node["remine"]["warmup_epochs"], node["trainer"]["max_epochs"]
    if following and epochs is not None and 0 <= epochs <= warmup:
        raise ConfigError(
            f"remine.warmup_epochs={warmup} leaves none of trainer.max_epochs={epochs} for negatives="
            f"{','.join(following)}; train longer or warm up less"
        )


def check_swap(node: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` where lists are replaced before any negative could be drawn twice, and so found easy."""
    if node["remine"]["every_n_epochs"] != 1 or node["data"].get("sets"):  # in a mix, small sets come often in an epoch
        return
    for name, source in sources.items():
        if isinstance(source, Stored) and source.follows_model and source.swap and source.swap.floor is None:
            raise ConfigError(
                f"negatives.{name}.swap compares what a negative scores with what it did an epoch before, and"
                " remine.every_n_epochs=1 gives each epoch lists of its own; set remine.every_n_epochs=null, or more"
            )


def check_curriculum(curriculum: Curriculum, sources: dict[str, Any], losses: dict[str, Weighed]) -> None:
    """Raise `ConfigError` for a curriculum that does not fit the sources and losses."""
    curriculum.check(sources, losses)
    curriculum.check_read(sources, losses)
    for metric in curriculum.pace.watched:
        group, source, what = (*metric.split("/"), "", "")[:3]
        if group in ("negatives", "mining") and source not in sources:
            raise ConfigError(f"curriculum.pace.metrics names {metric}, of none of negatives=[{','.join(sources)}]")
        if group == "negatives" and what not in METRICS:
            raise ConfigError(f"curriculum.pace.metrics names {metric}; of each source there are {', '.join(METRICS)}")


def check_frozen(node: dict[str, Any], recipe: EncoderRecipe) -> None:
    """Raise `ConfigError` where frozen documents would be random for ever."""
    if recipe.freeze and recipe.starts_random and not (node["init_from"] or node["ckpt_path"]):
        raise ConfigError(
            "encoder.freeze=document keeps the documents as they start, and these start from random weights; give"
            " init_from=CHECKPOINT, the encoder that the index was made with, or start from a pretrained one, as with"
            " encoder.init=minilm"
        )


def check_pairs(made: Made) -> None:
    """Raise `ConfigError` for parts that cannot work together in training a cross-encoder."""
    check_sources(made)
    node, sources = made.node, made.sources
    if node["data"].get("prompts"):
        raise ConfigError(
            "data.prompts are for dual encoders, and a cross-encoder reads texts as they are; leave them out"
        )
    if splits_weights(node):
        raise ConfigError("a cross-encoder trains on whole weights: set trainer=default (trainer.strategy=ddp)")
    if online := [name for name, source in sources.items() if isinstance(source, OnlineSource)]:
        raise ConfigError(
            f"negatives={','.join(online)} offers embeddings, and a cross-encoder has none; choose sources that name"
            " documents, as in negatives=[bm25,random]"
        )
    if following := [name for name, source in sources.items() if source.follows_model]:
        name = following[0]
        raise ConfigError(
            f"negatives={name} is mined with a dual encoder: give one, as negatives.{name}.miner.ckpt_path or"
            f" +encoder@negatives.{name}.miner.encoder=minilm"
        )
    if swapping := [name for name, source in sources.items() if isinstance(source, Stored) and source.swap]:
        raise ConfigError(
            f"negatives.{swapping[0]}.swap is by similarities of a dual encoder in training; set"
            f" negatives.{swapping[0]}.swap.every_n_steps=null"
        )
    check_averaging(made)
    losses = made.losses
    if of_vectors := [name for name, loss in losses.items() if isinstance(loss, VectorLoss)]:
        raise ConfigError(f"loss={of_vectors[0]} reads vectors, and a cross-encoder has none; leave it out")
    check_losses(losses, sources)
    check_one_teacher(node, losses, sources)
    if node["evaluate"]["bm25"] is None:
        raise ConfigError("evaluate.bm25 is what a cross-encoder ranks again; it cannot be null here")
    check_dev_metrics(made)
    check_ranges(node, ("num_workers",))
