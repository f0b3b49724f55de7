"""What losses need of the sources that they read, of a teacher, and of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss, VectorLoss
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.negatives.base import OfflineSource
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.live_teacher import learns_live
from hardneg.negatives.queue import Queue


def check_losses(losses: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` for a loss that the chosen sources cannot feed, or for a correction that no loss reads."""
    if not losses:
        raise ConfigError("loss=[] leaves nothing to train on; choose at least one, as in loss=infonce")
    for name, loss in losses.items():
        if not isinstance(loss, Loss | VectorLoss):
            raise ConfigError(f"loss.{name} is a {type(loss).__name__}, not a loss")
        if isinstance(loss, Loss):
            check_loss(name, loss, {key: source for key, source in sources.items() if loss.reads(key)})
    check_live_teacher(losses, sources)
    check_vectors(losses)
    if not any(isinstance(loss, Loss) or loss.alone for loss in losses.values()):
        raise ConfigError(
            f"loss=[{','.join(losses)}] only spreads vectors out, whatever is relevant; add another, as in"
            f" loss=[infonce,{','.join(losses)}]"
        )
    corrected = [name for name, source in sources.items() if source.logq]
    softmax = [loss for loss in losses.values() if loss.corrects_sampling]
    if void := [name for name in corrected if not any(loss.reads(name) for loss in softmax)]:
        raise ConfigError(
            f"negatives.{void[0]}.logq=true corrects a softmax, and loss=[{','.join(losses)}] holds none that reads it;"
            f" add infonce, or set negatives.{void[0]}.logq=false"
        )


def check_corrected_alike(
    node: dict[str, Any], losses: dict[str, Any], sources: dict[str, Any], curriculum: Curriculum | None
) -> None:
    """Raise `ConfigError` where a softmax reads in-batch negatives and a queue of which one alone is corrected.

    Beside the corrected sum over all documents the other would count popular ones as often as they come; those of the
    batch twice, as a corrected queue offers them too. Sources that a curriculum never has on together are never read
    in one softmax.
    """
    online = {name: source.logq for name, source in sources.items() if isinstance(source, InBatch | Queue)}
    together = [list(online)]
    if curriculum is not None and curriculum.share:
        together = [on for _, on in curriculum.parts(online)]
    for (name, loss), on in product(losses.items(), together):
        read = {source: online[source] for source in on if loss.corrects_sampling and loss.reads(source)}
        if len(set(read.values())) > 1:
            corrected = next(source for source, logq in read.items() if logq)
            other = next(source for source, logq in read.items() if not logq)
            both = "" if node["data"].get("sets") else f"negatives.{other}.logq=true too, or "  # see `check_queues`
            raise ConfigError(
                f"loss={name} reads {corrected} and {other}, and negatives.{corrected}.logq=true corrects one alone for"
                f" popular documents; set {both}negatives.{corrected}.logq=false, or leave one to another loss, by"
                f" loss.{name}.sources"
            )


def check_loss(name: str, loss: Loss, read: dict[str, Any]) -> None:
    """Raise `ConfigError` for a loss that cannot work with the sources it reads."""
    listed = ",".join(read)
    live = any(source.teaches_live for source in read.values())
    if loss.needs_teacher and not live and not any(source.may_have_teacher for source in read.values()):
        raise ConfigError(
            f"loss={name} reads teacher scores, but none of negatives=[{listed}] has them; add a source"
            " with a teacher, as in negatives=[in_batch,bm25] teacher=cross_encoder teacher.model=FOLDER or"
            " teacher=file teacher.path=SCORES, or negatives=given with scores in the data, or an in-batch teacher,"
            " +teacher@negatives.in_batch.teacher=bi_encoder +encoder@negatives.in_batch.teacher.encoder=minilm,"
            " or choose another loss"
        )
    if unknown := set(getattr(loss, "hardness_sources", None) or ()) - set(read):
        raise ConfigError(
            f"loss.{name}.hardness_sources names {', '.join(sorted(unknown))}, none of negatives=[{listed}]"
            + ("" if loss.sources is None else f", which loss.{name}.sources leaves")
        )
    if loss.needs_reverse and not any(source.of_all_rows for source in read.values()):
        raise ConfigError(
            f"loss.{name}.symmetric=true sets documents against the batch's queries and needs in_batch among"
            f" negatives=[{listed}]; add it, or set loss.{name}.symmetric=false"
        )


def check_vectors(losses: dict[str, Any]) -> None:
    """Raise `ConfigError` where no teacher of vectors is named, or several are."""
    taught = [name for name, loss in losses.items() if isinstance(loss, EmbedDistill)]
    for name in taught:
        if losses[name].teacher is None or not losses[name].teacher.chosen:
            raise ConfigError(
                f"loss.{name} has no teacher: give a checkpoint as loss.{name}.teacher.ckpt_path, or an encoder, as"
                f" +encoder@loss.{name}.teacher.encoder=transformer loss.{name}.teacher.encoder.model=FOLDER"
            )
    if len(taught) > 1:
        raise ConfigError(f"loss=[{','.join(taught)}] has two teachers of vectors, and a batch brings those of one")


def check_live_teacher(losses: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` for an in-batch teacher that no loss learns from, or whose loss has another teacher too."""
    giving = [name for name, source in sources.items() if source.has_teacher]
    live = [learns_live(name, loss, sources, giving) for name, loss in losses.items() if isinstance(loss, Loss)]
    for name, source in sources.items():
        if source.teaches_live and not any(live):
            raise ConfigError(
                f"negatives.{name}.teacher is given, and loss=[{','.join(losses)}] holds none that learns from it; add"
                f" one, as +loss@loss.margin_mse_{name}=margin_mse loss.margin_mse_{name}.sources=[{name}]"
            )


def check_warmed_up(node: dict[str, Any], losses: dict[str, Any], others: Sequence[str]) -> None:
    """Raise `ConfigError` where no loss reads the `others`, the sources that a warm-up trains on."""
    if node["remine"]["warmup_epochs"] and not any(loss.learns_from(others) for loss in losses.values()):
        raise ConfigError(
            f"remine.warmup_epochs={node['remine']['warmup_epochs']} trains on negatives=[{','.join(others)}] alone,"
            f" which loss=[{','.join(losses)}] does not read: set remine.warmup_epochs=0, or a loss's sources to null"
        )


def check_one_teacher(node: dict[str, Any], losses: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` where a loss would set negatives against positives that another teacher has scored.

    A positive has one score, that of the first source with a teacher.
    """
    drawn = [name for name, source in sources.items() if isinstance(source, OfflineSource)]
    teachers = {name: one for name in drawn if (one := node["negatives"][name].get("teacher"))}
    for name, loss in losses.items():
        read = [source for source in teachers if loss.reads(source)] if loss.needs_teacher else []
        if others := [source for source in read if teachers[source] != next(iter(teachers.values()))]:
            first = next(iter(teachers))
            raise ConfigError(
                f"loss={name} reads scores of negatives.{others[0]}.teacher, and positives have those of"
                f" negatives.{first}.teacher, another one, on a scale of its own; give both one teacher, as"
                f" teacher=... does, or leave negatives.{first}.teacher out"
            )
