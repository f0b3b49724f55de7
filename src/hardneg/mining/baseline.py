"""A miner as a baseline: its ranking of an evaluation split, computed once for all jobs."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.ragged import Ragged
from hardneg.data.tables import RetrievalData
from hardneg.mining.base import Miner, Task
from hardneg.retrieval.metrics import QueryRankings, per_query, resolve
from hardneg.system import distributed
from hardneg.system.cache import built_once, built_together, fingerprint
from hardneg.system.own_code import identity_of

log = logging.getLogger(__name__)

NOTHING = 0.5  # share of queries for which BM25 finds nothing above which it is no baseline


def baseline_run(
    miner: Miner,
    data: RetrievalData,
    split: str,
    depth: int,
    cache: Path,
    seen: Ragged | None = None,
    queries: Int32[np.ndarray, " Q"] | None = None,
    documents: Int32[np.ndarray, " N"] | None = None,
) -> QueryRankings:
    """Return the miner's `depth` best documents of each query of the split, from the cache if it is there.

    Documents `seen` for a query are left out of its ranking. `queries` are some of the split's, and `documents` some of
    the corpus's, both as rows; None: all.
    Of several data sets in one each is indexed on its own, and a query ranks the documents of its own. Every rank asks.
    """
    rows = data.split(split).query_rows if queries is None else queries
    if seen is not None:
        wide = depth + int(seen.counts[rows].max(initial=0))
        return baseline_run(miner, data, split, wide, cache, None, queries, documents).without(seen, depth)
    miner = miner.ready(data, None, cache)
    named = [identity_of(miner), data.corpus.fingerprint, data.queries.fingerprint, rows.tolist(), depth]
    named += [data.bounds] if data.bounds else []
    named += [] if documents is None else ["documents", documents.tolist()]
    key = fingerprint(named)
    work = cache / "work" / f"baseline-{key}"

    def build(folder: Path | None) -> None:
        ids, scores = [np.empty((0, depth), np.int32)], [np.empty((0, depth), np.float32)]
        for part, here in data.by_part(rows):
            inside = work / str(part.docs.start)
            inside.mkdir(parents=True, exist_ok=True)
            pool = np.arange(part.docs.start, part.docs.stop, dtype=np.int32)
            pool = pool if documents is None else pool[np.isin(pool, documents)]
            rank = miner.open(Task(data, pool, np.empty(0, np.int32), inside, rows[here], depth))
            hits = rank(rows[here], np.full((here.stop - here.start, 1), -1, np.int32), depth)
            ids.append(hits.ids)
            scores.append(hits.scores)
        if folder is not None:
            np.save(folder / "ids.npy", np.concatenate(ids))
            np.save(folder / "scores.npy", np.concatenate(scores))

    folder = (built_together if miner.collective else built_once)(cache / "baselines" / key, build)
    miner.put_away()
    if distributed.rank() == 0:
        shutil.rmtree(work, ignore_errors=True)
    return QueryRankings(rows, np.load(folder / "ids.npy"), np.load(folder / "scores.npy"))


def baseline_metrics(
    cfg: DictConfig, data: RetrievalData, split: str, seen: Ragged | None
) -> dict[str, dict[str, np.ndarray]]:
    """Return the per-query metrics of the configured baseline, under its name; empty where there is none."""
    if cfg.evaluate.bm25 is None:
        return {}
    run = baseline_run(classes.build(cfg.evaluate.bm25), data, split, cfg.evaluate.depth, Path(cfg.cache), seen)
    if (nothing := float((run.ids < 0).all(axis=1).mean())) > NOTHING:
        log.warning(
            "BM25 finds no document for %.1f%% of the %s queries: they share no token with any. Look at how texts are"
            " cut (+evaluate.bm25.tokens=by_script, pairs or the folder of a tokenizer.json; language and stopwords)",
            *(100 * nothing, split),
        )
    return {"BM25": per_query(run, data.split(split), data, resolve(cfg.evaluate.metrics))}
