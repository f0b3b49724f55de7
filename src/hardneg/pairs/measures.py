"""What a rule measured of each pair: a layer of the cache by itself, so that another limit costs nothing."""

from __future__ import annotations

import json
import logging
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hardneg.pairs.base import PairFilter, Pairs
from hardneg.system import shared_blocks
from hardneg.system.cache import fingerprint
from hardneg.system.counts_in_words import counted
from hardneg.system.memory_map import Mapped, write_array
from hardneg.system.own_code import with_code_of
from hardneg.system.progress import progress
from hardneg.system.row_writer import RowWriter

log = logging.getLogger(__name__)

BLOCK = 4096  # pairs per step: bounds memory, and what an interruption costs


def measured(name: str, rule: PairFilter, pairs: Pairs, cache: Path) -> Float32[np.ndarray, "n m"]:
    """Return what the rule `name` measures of these pairs, measuring only if nobody has yet; continues an attempt.

    Of several processes that ask together one measures and the others wait; of the ranks of a run each does a share,
    and all of them must ask for the same (`ConfigError` otherwise). The rule is ready.
    """
    named = {"by": rule.measured_by(), "training": pairs.training.fingerprint, "pairs": _hashed(pairs)}
    identity = with_code_of(rule, named)
    key = fingerprint(identity)
    work = cache / "work" / key

    def join(unfinished: Path, blocks: shared_blocks.Files[range], seconds: float) -> None:
        with RowWriter(unfinished / "values.npy", len(pairs), np.nan) as writer:
            for rows, path in blocks:
                writer.put(np.asarray(rows), np.load(path))
        (unfinished / "card.json").write_text(
            json.dumps({**identity, "rows": len(pairs), "seconds": seconds}, indent=2)
        )
        log.info("pairs=%s measured %s in %.1f s", name, counted(len(pairs), "pair"), seconds)

    folder = shared_blocks.built(cache / "measures" / key, work, lambda: _measure(name, rule, pairs, work), join)
    return Mapped(folder / "values.npy").array


def _measure(name: str, rule: PairFilter, pairs: Pairs, work: Path) -> shared_blocks.Files[range]:
    """Measure in blocks into `work`; ranks take turns."""
    work.mkdir(parents=True, exist_ok=True)
    blocks = shared_blocks.cut(range(len(pairs)), BLOCK, work, "measured-{:05d}.npy")
    if shared_blocks.any_missing(path for _, path in blocks):
        rule.open(pairs, work)
    with progress(shared_blocks.share_of(len(pairs)), f"pairs={name}", "pairs") as bar:
        for rows, path in shared_blocks.own(blocks, bar):
            values = rule.measure(pairs.take(slice(rows.start, rows.stop)))
            write_array(path, values.astype(np.float32))
            bar.update(len(rows))
    return blocks


def _hashed(pairs: Pairs) -> str:
    digest = blake2b(digest_size=12)
    for column in (pairs.queries, pairs.docs):
        digest.update(np.ascontiguousarray(column, np.int32).tobytes())
    return digest.hexdigest()
