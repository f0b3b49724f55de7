"""`batch_size=auto`: the encoder's batch, or less where there are few training queries or, on a GPU, little memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.config.run_identity import AUTO, BATCH
from hardneg.data.same_set_batches import Order
from hardneg.data.tokens import TokenTable
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.negatives.base import Source
from hardneg.system import agreement, distributed
from hardneg.system.counts_in_words import TRAINING_QUERIES, counted
from hardneg.system.screen import ONLY_IN_FILE
from hardneg.training.auto_numbers import Auto
from hardneg.training.blended_batches import may_blend

log = logging.getLogger(__name__)

BATCH_SIZE = Auto("the batch size", "batch_size", noted="batch_size", saved="batch_size")

STEPS = 8  # batches that an epoch should have, for the rate to rise and fall (experiments/16_defaults)
LEAST = 16  # unless a batch would then be smaller than this, and leave a query next to no negatives
SMALL = 64  # below this a warning says which small set of a mix limits the batch of all sets
MOMENTS = 2  # numbers that an optimiser like Adam keeps of each weight, which memory must hold too


def planned(batch_size: int | str, encoder: Any, order: Order, ranks: int) -> int:
    """Return the batch that `batch_size` stands for; `encoder` is its config.

    `auto` is the encoder's own (`encoder.batch_size`), but no more than lets an epoch have `STEPS` of them, as a power
    of two, and never more than the queries fill.
    """
    if batch_size != AUTO:
        return int(batch_size)
    asked = _most(encoder)
    total, least = sum(order.sets.values()), min(order.sets.values(), default=0)
    steady = 2 ** int(np.log2(max(total // (STEPS * ranks), 1)))
    fill = (total if order.blended else least) // ranks
    return max(min(asked, max(steady, LEAST), fill), 1)


def settle(cfg: DictConfig, folder: Path, order: Order) -> DictConfig:
    """Return the config with the number that `auto` stands for here, and note it in the run's folder.

    A run that goes on takes the number that it began with, whatever it would find today. Raises `ConfigError` where one
    training query leaves a batch no negatives.
    """
    if cfg.batch_size != AUTO:
        return cfg
    began = BATCH_SIZE.began_with(cfg)
    ranks = distributed.world_size()
    number = planned(AUTO, cfg.encoder, order, ranks) if began is None else int(began)
    smallest = _set_that_caps(order, number, ranks)
    advised = smallest is not None and may_blend(cfg)
    if number * ranks < 2 and _all_of_batch(cfg):
        raise ConfigError(
            f"a batch for {_queries(order, smallest)} has no negatives; add a source, as in negatives=[random],"
            " or leave the set out" + (" (data.batches=blended: a batch is of all)" if advised else "")
        )
    if began is None and distributed.rank() == 0:
        why = why_smaller(cfg, order, number)
        few = f", {why}" if why else ""
        log.info("batch_size: %d, as batch_size=auto takes it here%s", number, few, extra=ONLY_IN_FILE)
        whole = planned(AUTO, cfg.encoder, replace(order, blended=True), ranks)
        if smallest is not None and number < min(whole, SMALL):
            log.warning(
                "batch_size: %d in every set, since %s has no more queries, where all together allow %d:"
                " %sleave %s out",
                *(number, smallest, whole),
                *("take data.batches=blended (a batch is of all sets), or " if advised else "", smallest),
            )
    return BATCH_SIZE.settled(cfg, folder, number)


def why_smaller(cfg: DictConfig, order: Order, number: int) -> str:
    """Say why the batch of `number` queries that `auto` stands for is smaller than the encoder's own.

    Empty where it is not, and in a run that goes on with the number that it began with.
    """
    most = _most(cfg.encoder)
    if number >= most or cfg.get("ckpt_path"):
        return ""
    smallest = _set_that_caps(order, number, distributed.world_size())
    return f"fewer than encoder.batch_size={most} for {_queries(order, smallest)}"


def _most(encoder: Any) -> int:
    return int(encoder.get("batch_size") or BATCH)


def _queries(order: Order, smallest: str | None) -> str:
    """How many training queries a batch is of: of the set that lets it be no larger, if one does, or of all."""
    if smallest is None:
        return counted(sum(order.sets.values()), *TRAINING_QUERIES)
    return f"the {counted(order.sets[smallest], *TRAINING_QUERIES)} of {smallest}, as a batch is of one set"


def _set_that_caps(order: Order, number: int, ranks: int) -> str | None:
    """The set that lets no batch be larger than `number`, as each is of one set; None where none does."""
    if len(order.sets) < 2 or order.blended:
        return None
    name, size = min(order.sets.items(), key=lambda item: item[1])
    return name if number == size // ranks else None


def within_memory(cfg: DictConfig, folder: Path, number: int, tries: Callable[[int], None] | None) -> DictConfig:
    """Halve the batch until `tries` takes it without running out of memory; all ranks take the smallest.

    `tries` is None where there is nothing to try (see `trial_batch`). Raises `ConfigError` where no batch fits.
    """
    if tries is None:
        return cfg
    fits = min(agreement.everyone(halved(tries, number)))
    if fits < number and distributed.rank() == 0:
        log.warning(
            "batch_size: %d, since this device has no memory for %d; encoder.grad_cache=true"
            " trains on the larger batch in the memory of a part, in about twice the time",
            *(fits, number),
        )
    return BATCH_SIZE.settled(cfg, folder, fits)


def halved(tries: Callable[[int], None], start: int) -> int:
    """Return the first of start, start/2, ... that `tries` takes without running out of memory.

    The smallest that is tried is 2: one query alone has no in-batch negatives. Raises `ConfigError` if that fails too.
    """
    number = start
    while True:
        try:
            tries(number)
            return number
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, torch.OutOfMemoryError | MemoryError) or is_oom_error(error)):
                raise
            if number <= 2:
                raise ConfigError(
                    f"this device has no memory for a batch of {number}: take encoder.grad_cache=true, smaller"
                    " encoder.document.max_length, or fewer negatives a query"
                ) from error
            number = max(number // 2, 2)
        finally:
            garbage_collection_cuda()


def trial_batch(
    cfg: DictConfig,
    towers: Towers,
    tables: Sequence[TokenTable],
    precision: str,
    device: torch.device,
    group: int,
    sources: Iterable[Source] = (),
) -> Callable[[int], None] | None:
    """Return what tries a batch of the longest texts, forward and backward.

    `tables` are the tokens of queries and documents, `group` is the number of documents a query, `sources` those of
    negatives, of which a queue keeps vectors in memory. See `longest_batch` for what is counted.

    None where nothing need be tried: on a CPU, whose memory is shared with other programs; where the batch was given;
    in a run that goes on; and where weights are split over devices, so that no single one could hold them.
    """
    split = isinstance(cfg.trainer.get("strategy"), DictConfig)
    if cfg.batch_size != AUTO or device.type != "cuda" or cfg.get("ckpt_path") or split:
        return None
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    queued = sum(source.kept_documents for source in sources)
    return lambda number: longest_batch(towers, tables, number, group, device, half, queued)


def longest_batch(
    towers: Towers,
    tables: Sequence[TokenTable],
    number: int,
    group: int,
    device: torch.device,
    half: torch.dtype | None = None,
    queued: int = 0,
) -> None:
    """Embed the `number` longest queries and `group` times as many documents, and take the gradient.

    Memory also holds what an optimiser keeps of the weights, on several ranks the gradients that they exchange, and a
    queue of `queued` documents. Not counted are vectors of a guide or an in-batch teacher (up to 2 GiB a table),
    a moving average of the weights, and scores against other ranks' documents. Weights, gradients and random numbers
    are left as they were.
    """
    longest = [np.argsort(-table.lengths, kind="stable") for table in tables]
    rows = [np.resize(order, count) for order, count in zip(longest, (number, number * group), strict=True)]
    computing = torch.autocast(device.type, dtype=half) if half is not None else nullcontext()
    compiler, towers.compiler = towers.compiler, None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            towers.to(device)
            copies = MOMENTS + (distributed.world_size() > 1)
            held = [torch.empty_like(p) for p in towers.parameters() if p.requires_grad for _ in range(copies)]
            held.append(torch.empty(queued, towers.dim, device=device))
            with computing:
                q, d = towers.both(*(table.batch(some).to(device) for table, some in zip(tables, rows, strict=True)))
            (q @ d.T).logsumexp(dim=1).mean().backward()
            del held
        finally:
            towers.compiler = compiler
            towers.zero_grad(set_to_none=True)
            towers.to("cpu")


def _all_of_batch(cfg: DictConfig) -> bool:
    """Whether no source has documents but those of the batch."""
    sources = classes.build_group(cfg.get("negatives"), "negatives").values()
    return all(source.of_batch for source in sources)
