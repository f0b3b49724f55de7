"""What do BM25's lists cost on many documents, next to bm25s as it comes? See README.md beside this file.

One process holds both indexes, timed as they are made; then the same queries are ranked in turns, block after block.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import bm25s
import numpy as np
import pyarrow as pa
import Stemmer
import torch
from held_memory import mib

from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.mining import bm25
from hardneg.mining.base import Hits, Ranker, Task
from hardneg.mining.bm25_numba import by_numba
from hardneg.mining.bm25_search import by_numpy
from hardneg.mining.bm25_tokens import BLANKS

HERE = Path(__file__).parent
ARMS = {"bm25s as it comes": "earlier", "hardneg, NumPy": "numpy", "hardneg, Numba": "numba"}
ENGINES = {"numpy": by_numpy, "numba": by_numba}
engine = ["numba"]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a BEIR folder")
    parser.add_argument(
        "--queries", type=int, default=2000, help="how many queries are ranked; the rest is extrapolated"
    )
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("--block", type=int, default=100, help="queries an arm ranks before it is another's turn")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for bm25_scale.md and bm25_scale.json")
    args = parser.parse_args()
    data = read(args.data)
    task = task_of(data)
    hardneg, cost = indexed(ours, task)
    before, cost_before = indexed(earlier, task)
    rankers = {"earlier": before, **{arm: partial(by_engine, arm, hardneg) for arm in ENGINES}}
    ranking = in_turns(data, rankers, args.queries, args.depth, args.block)
    costs = {arm: cost_before if arm == "earlier" else cost for arm in rankers}
    every = len(data.queries)
    found = {
        "documents": len(data.corpus),
        "queries": every,
        "sample": min(args.queries, every),
        "depth": args.depth,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "arms": {arm: {**costs[arm], **ranking[arm]} for arm in ARMS.values()},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bm25_scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "bm25_scale.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))


def read(folder: Path) -> RetrievalData:
    """Read a BEIR folder without the caches of the reader that training uses."""

    def texts(path: Path) -> Texts:
        ids, found = [], []
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                ids.append(row["_id"])
                found.append(f"{row.get('title', '')} {row['text']}".strip())
        return Texts(pa.array(ids, pa.large_string()), pa.array(found, pa.large_string()))

    corpus, queries = texts(folder / "corpus.jsonl"), texts(folder / "queries.jsonl")
    lines = [line.split("\t") for line in (folder / "qrels" / "train.tsv").read_text("utf-8").splitlines()[1:]]
    asked, docs = queries.find([line[0] for line in lines]), corpus.find([line[1] for line in lines])
    scores = np.array([float(line[2]) for line in lines], np.float32)
    return RetrievalData(folder.name, corpus, queries, {"train": Qrels(asked, docs, scores)})


def task_of(data: RetrievalData) -> Task:
    """All documents."""
    return Task(data, np.arange(len(data.corpus), dtype=np.int32), np.empty(0, np.int32), Path())


def earlier(task: Task) -> Ranker:
    """Rank as hardneg did: bm25s's own index and search, on one core, and each query again for its positives."""
    index = bm25s.BM25(k1=1.2, b=0.75)
    tokenizer = bm25s.tokenization.Tokenizer(
        splitter=BLANKS.findall, stemmer=Stemmer.Stemmer("english"), stopwords="en"
    )
    index.index(tokenizer.tokenize(task.data.corpus.take(task.pool), show_progress=False), show_progress=False)

    def rank(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
        asked = tokenizer.tokenize(task.data.queries.take(queries), update_vocab=False, show_progress=False)
        found = index.retrieve(asked, k=k, show_progress=False)
        ids, scores = found.documents.astype(np.int32), found.scores.astype(np.float32)
        of_positives = np.full(positives.shape, np.nan, np.float32)
        for row in np.flatnonzero((positives >= 0).any(axis=1)):
            known = positives[row] >= 0
            of_positives[row, known] = index.get_scores_from_ids(asked[row])[positives[row, known]]
        nothing = ~(scores > 0)
        ids[nothing], scores[nothing] = -1, -np.inf
        return Hits(ids, scores, of_positives)

    return rank


def ours(task: Task) -> Ranker:
    """Index as hardneg does, with the engine to be said before each search: both search one index."""
    bm25.engine_for = lambda size: lambda *arguments: ENGINES[engine[0]](*arguments)
    return bm25.BM25(tokens="blanks").open(task)


def by_engine(arm: str, rank: Ranker, queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
    """Rank by one of the engines."""
    engine[0] = arm
    return rank(queries, positives, k)


def indexed(make: Callable[[Task], Ranker], task: Task) -> tuple[Ranker, dict[str, float]]:
    """Cut texts and index them; time, and what memory that takes over what was held before, at its peak and after."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, wall, cpu = gb("VmRSS"), time.perf_counter(), time.process_time()
    rank = make(task)
    found = {"index": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found |= {"peak": gb("VmHWM") - before, "kept": gb("VmRSS") - before, "before": before}
    print(make.__name__, found, flush=True)
    return rank, found


def gb(field: str) -> float:
    """The same field of this process in GB."""
    return mib(field) * 1024 / 1e6


def in_turns(
    data: RetrievalData, rankers: dict[str, Ranker], sample: int, depth: int, block: int
) -> dict[str, dict[str, float]]:
    """Rank the same queries by every arm, block by block; who begins changes."""
    rows = np.sort(np.random.default_rng(0).permutation(len(data.queries))[:sample]).astype(np.int32)
    positives = first_positive(data)
    for rank in rankers.values():  # compiled, and touched once
        rank(rows[:2], positives[rows[:2]], depth)
    walls: dict[str, list[float]] = {arm: [] for arm in rankers}
    cpus: dict[str, list[float]] = {arm: [] for arm in rankers}
    overlap: dict[str, list[float]] = {arm: [] for arm in rankers}
    apart: dict[str, float] = dict.fromkeys(rankers, 0.0)
    for turn, start in enumerate(range(0, len(rows), block)):
        asked, hits = rows[start : start + block], {}
        for arm in np.roll(list(rankers), turn).tolist():
            wall, cpu = time.perf_counter(), time.process_time()
            hits[arm] = rankers[arm](asked, positives[asked], depth)
            walls[arm].append((time.perf_counter() - wall) / len(asked))
            cpus[arm].append((time.process_time() - cpu) / len(asked))
        print(len(walls["earlier"]), {arm: round(1000 * statistics.mean(walls[arm]), 2) for arm in walls}, flush=True)
        for arm, found in hits.items():
            overlap[arm] += shared(found.ids[:, :100], hits["earlier"].ids[:, :100])
            apart[arm] = max(apart[arm], difference(found, hits["earlier"]))
    return {
        arm: {
            "ms": 1000 * statistics.mean(walls[arm]),
            "cpu_ms": 1000 * statistics.mean(cpus[arm]),
            "ratio": statistics.median(np.array(walls["earlier"]) / np.array(walls[arm])),
            "overlap": statistics.mean(overlap[arm]),
            "apart": apart[arm],
        }
        for arm in rankers
    }


def first_positive(data: RetrievalData) -> np.ndarray:
    """One known positive a query, -1 where it has none."""
    found = np.full((len(data.queries), 1), -1, np.int32)
    relevant = data.qrels["train"].relevant
    found[relevant.queries, 0] = relevant.docs
    return found


def shared(ids: np.ndarray, others: np.ndarray) -> list[float]:
    """The share of the documents of `others` that are among `ids`, of each query that has any."""
    pairs = ((set(a[a >= 0].tolist()), set(b[b >= 0].tolist())) for a, b in zip(ids, others, strict=True))
    return [len(a & b) / len(b) for a, b in pairs if b]


def difference(found: Hits, other: Hits) -> float:
    """The largest difference between scores at equal places of the lists, and of positives."""
    parts = [(found.scores, other.scores), (found.positives, other.positives)]
    return max(float(np.nanmax(np.abs(np.nan_to_num(a, neginf=0) - np.nan_to_num(b, neginf=0)))) for a, b in parts)


def markdown(found: dict) -> str:
    """Write the table."""
    arms, every = found["arms"], found["queries"]
    whole = {name: arm["index"] + every * arm["ms"] / 1000 for name, arm in arms.items()}
    lines = [
        "# BM25 on many documents",
        "",
        f"{found['documents']:,} documents, lists of {found['depth']} and known positives for {found['sample']:,} of"
        f" {every:,} queries; {found['cores']} cores, {found['threads']} threads, {platform.machine()},"
        f" {datetime.date.today()}, bm25s {version('bm25s')}, numpy {version('numpy')}, numba {version('numba')}.",
        "",
        "| arm | index, s | its CPU, s | memory at its peak, GB | kept, GB | a query, ms | its CPU, ms |"
        " times faster | all queries, s (extrapolated) | of bm25s's time | top 100 shared | scores apart |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for label, name in ARMS.items():
        arm = arms[name]
        lines.append(
            f"| {label} | {arm['index']:.0f} | {arm['cpu']:.0f} | {arm['peak']:.2f} | {arm['kept']:.2f}"
            f" | {arm['ms']:.2f} | {arm['cpu_ms']:.2f} | {arm['ratio']:.1f} | {whole[name]:.0f}"
            f" | 1/{whole['earlier'] / whole[name]:.1f} | {arm['overlap']:.4f} | {arm['apart']:.1e} |"
        )
    lines += ["", "Memory is what tokens and index take over what the process held before, its texts included."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
