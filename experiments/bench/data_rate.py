"""How many training rows a second does one process draw and stack? See README.md beside this file.

Every case is measured in turns with the code of another commit (`--against`), in processes of their own that read the
same data, tokens and lists; the first batches of both must be the same to the bit.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils.data import DataLoader

from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.ragged import Ragged
from hardneg.data.readers.beir import Beir
from hardneg.data.sampler import EpochSampler
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.tokens import token_tables
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.mining.bm25 import BM25
from hardneg.mining.store import Store
from hardneg.negatives.base import Setting
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.given import Given
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random
from hardneg.negatives.stored import Stored

HERE = Path(__file__).parent
BATCHES, DEPTH, K = (64, 256, 1024), 100, 4
CASES = ("in_batch", "random", "stored", "curriculum", "positives=2", "given")
SAME = 5  # batches of each case whose bits are compared
WORDS, QUERY_WORDS = 60, 6  # as long as MS MARCO's passages and queries


def main() -> None:
    """Measure both commits in turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, help="a BEIR folder; without one, made-up texts")
    parser.add_argument("--queries", type=int, default=200_000, help="made-up queries, and as many documents")
    parser.add_argument("--against", default="main", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each reading takes")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="batch sizes")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for data_rate.md and data_rate.json")
    parser.add_argument("--phases", action="store_true", help="only print what each phase takes, of this code alone")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.phases:
        with tempfile.TemporaryDirectory() as folder:
            args.work = Path(folder)
            print(by_phase(args))
        return
    if args.work:
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        args.work = Path(folder)
        checkout(args.against, args.work / "before")
        trees = {"before": args.work / "before/src", "after": HERE.parents[1] / "src"}
        found: dict[str, list] = {name: [] for name in trees}
        for turn in range(args.rounds + 1):  # the first one fills the cache
            for name in list(trees)[:: 1 if turn % 2 else -1]:
                one = in_process(trees[name], args)
                if turn:
                    found[name].append(one)
                print(name, one["rates"], flush=True)
    if any(one["digests"] != found["before"][0]["digests"] for one in [*found["before"], *found["after"]]):
        raise SystemExit("the two commits do not draw the same batches")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "data_rate.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "data_rate.md").write_text(markdown(found, args), encoding="utf-8")


def checkout(commit: str, folder: Path) -> None:
    """Unpack the sources of a commit."""
    folder.mkdir()
    packed = subprocess.run(
        ["git", "archive", commit, "src", "conf"], cwd=HERE.parents[1], stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)


def in_process(tree: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the code of one tree, in a process of its own."""
    command = [sys.executable, __file__, "--work", str(args.work), "--queries", str(args.queries)]
    command += ["--seconds", str(args.seconds), "--batches", *map(str, args.batches)]
    command += ["--data", str(args.data)] if args.data else []
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["code"]).is_relative_to(tree), f"{found['code']} is not in {tree}"
    return found


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return rows a second by case and batch size: by the clock, and by processor seconds."""
    import hardneg

    training, tables, lists = ready(args)
    rates, digests, memory = {}, {}, {}
    for case in CASES:
        rows, collate = parts(case, training, tables, lists)
        digests[case] = digest(islice(loader(rows, collate, 64), SAME))
        rates |= {f"{case} {size}": rate(loader(rows, collate, size), args.seconds) for size in args.batches}
        memory[case] = worker_memory(rows, collate)
    return {"code": hardneg.__file__, "rates": rates, "digests": digests, "worker MiB": memory}


def ready(args: argparse.Namespace) -> tuple[TrainingSet, tuple, Path]:
    """Read or make up the data, and make their tokens and lists."""
    data = Beir(path=str(args.data)).load() if args.data else made_up(args.queries)
    training = TrainingSet(with_given(data))
    recipe = Static()
    vocabulary = Texts(data.corpus.ids[:20_000], data.corpus.texts[:20_000])
    tables = token_tables(data, recipe.tokenizer(vocabulary), recipe.query, recipe.document, args.work / "cache")
    return training, tables, made_up_lists(training, args.work / "lists")


def by_phase(args: argparse.Namespace) -> str:
    """Return a table of rows a second and of what each phase takes of them, by the processor's clock."""
    training, tables, lists = ready(args)
    names = [*PHASES, "the rest"]
    lines = [f"| negatives | batch | rows a second | {' | '.join(names)} |", "|---" * (len(names) + 3) + "|"]
    for case in CASES:
        for size in args.batches:
            rows, collate = parts(case, training, tables, lists)
            spent = dict.fromkeys(PHASES, 0.0)
            for name, (holder, method) in phases(rows, collate).items():
                setattr(holder, method, timed(getattr(holder, method), spent, name))
            alone = rate(loader(*parts(case, training, tables, lists), size), args.seconds)[1]
            count, all_of_it = watched(loader(rows, collate, size), args.seconds, spent)
            each = [1e6 * seconds / count for seconds in (*spent.values(), all_of_it - sum(spent.values()))]
            lines.append(f"| {case} | {size} | {alone:,.0f} | {' | '.join(f'{one:.1f}' for one in each)} |")
    return "\n".join(lines)


PHASES = ("draw negatives", "choose positives", "tokens of queries", "tokens of documents")


def phases(rows: TrainingRows, collate: Collate) -> dict[str, tuple[Any, str]]:
    """The method that does each of `PHASES`."""
    collate.queries, collate.docs = copy.copy(collate.queries), copy.copy(collate.docs)
    found = [(rows.mixture, "draw_batch"), (rows, "shown"), (collate.queries, "batch"), (collate.docs, "batch")]
    return dict(zip(PHASES, found, strict=True))


def timed(do: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    """Add up the processor time of each call."""

    def run(*args: Any) -> Any:
        started = time.process_time()
        try:
            return do(*args)
        finally:
            spent[name] += time.process_time() - started

    return run


def watched(batches: DataLoader, seconds: float, spent: dict[str, float]) -> tuple[int, float]:
    """Load for so long; return how many rows, and their processor time, of which `spent` has the phases."""
    steps = endless(batches)
    for _ in range(2):
        next(steps)
    spent |= dict.fromkeys(spent, 0.0)
    count, wall, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        count += len(next(steps))
    return count, time.process_time() - processor


def parts(case: str, training: TrainingSet, tables: tuple, lists: Path) -> tuple[TrainingRows, Collate]:
    """Make what a run with these sources would draw and stack with."""
    stored = Stored(K, BM25(), depth=DEPTH)
    stored.use(Store(lists))
    sources = {"random": Random(K), "stored": stored, "given": Given(K)}
    curriculum = None
    if case == "curriculum":
        chosen = {name: sources[name] for name in ("random", "stored")}
        curriculum = Curriculum(share={"random": [0.65, 0.65], "stored": [0.35, 0.35]}, slots=K, shape="linear")
        curriculum.pace.plan(10**6)
        curriculum.resize(chosen)
    else:
        chosen = {name: source for name, source in sources.items() if name == case}
    for name, source in chosen.items():
        if name != "stored":
            source.prepare(Setting(training, {}, lists))
    mixture = Mixture(chosen, ("positive", *chosen), seed=1, curriculum=curriculum)
    rows = TrainingRows(training, mixture, positives=2 if case == "positives=2" else 1)
    return rows, Collate(*tables, training, mixture.has_teacher)


def loader(rows: TrainingRows, collate: Collate, size: int, workers: int = 0) -> DataLoader:
    """Load as `hardneg train` does."""
    sampler: Any = EpochSampler(len(rows), size, seed=1)
    return DataLoader(rows, batch_sampler=sampler, collate_fn=collate, num_workers=workers)


def rate(batches: DataLoader, seconds: float) -> list[float]:
    """Return rows a second of the clock, and of processor time; the epoch's order is not in it."""
    steps = endless(batches)
    for _ in range(2):
        next(steps)
    count, wall, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        count += len(next(steps))
    return [count / (time.perf_counter() - wall), count / (time.process_time() - processor)]


def endless(batches: DataLoader) -> Iterator[Any]:
    """Go through the epoch again and again."""
    while True:
        yield from batches


def digest(batches: Iterator[Any]) -> str:
    """Hash all that a model would read of these batches."""
    found = hashlib.blake2b(digest_size=8)
    for batch in batches:
        for part in (batch.query_ids, batch.doc_ids, batch.source, batch.positive_ids, batch.queries, batch.docs):
            found.update((part if isinstance(part, torch.Tensor) else part.input_ids).numpy().tobytes())
    return found.hexdigest()


def worker_memory(rows: TrainingRows, collate: Collate) -> float:
    """Return the MiB that a worker has for itself alone after 50 batches."""
    batches = iter(loader(rows, collate, 64, workers=1))
    for _ in range(50):
        next(batches)
    pid = batches._workers[0].pid  # type: ignore[attr-defined]
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def made_up(queries: int) -> RetrievalData:
    """Random texts of MS MARCO's lengths; the i-th document answers the i-th query, and some answer a second one."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = np.array(["".join(word) for word in letters[rng.integers(0, 26, (20_000, 5))]], dtype=object)
    docs = Texts.of(
        map(str, range(queries)), [" ".join(vocabulary[rng.integers(0, 20_000, WORDS)]) for _ in range(queries)]
    )
    asked = Texts.of(
        map(str, range(queries)), [" ".join(vocabulary[rng.integers(0, 20_000, QUERY_WORDS)]) for _ in range(queries)]
    )
    every = np.arange(queries, dtype=np.int32)
    more = every[::3]
    qrels = Qrels(
        np.concatenate([every, more]),
        np.concatenate([every, (more + 1) % queries]),
        np.ones(queries + len(more), np.float32),
    )
    return RetrievalData("made up", docs, asked, {"train": qrels})


def with_given(data: RetrievalData) -> RetrievalData:
    """Name eight negatives for each query."""
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(len(data.queries)), 8)
    return replace(data, given=Ragged.of(rows, rng.integers(0, len(data.corpus), len(rows)), len(data.queries)))


def made_up_lists(training: TrainingSet, folder: Path) -> Path:
    """Write lists as mining does, of random documents: what they hold does not change how long it takes to draw."""
    if not folder.exists():
        folder.mkdir()
        rng, shape = np.random.default_rng(2), (len(training.data.queries), DEPTH)
        np.save(folder / "ids.npy", rng.integers(0, len(training.data.corpus), shape, np.int32))
        np.save(folder / "scores.npy", np.zeros(shape, np.float32))
        np.save(folder / "reasons.npy", (rng.random(shape) < 0.1).astype(np.uint8))
        np.save(folder / "positive.npy", np.zeros(shape[0], np.float32))
        (folder / "card.json").write_text(json.dumps({"reasons": ["kept", "known_positives"]}))
    return folder


def markdown(found: dict[str, list], args: argparse.Namespace) -> str:
    """Write the table."""
    texts = f"{args.data.name}" if args.data else f"{args.queries:,} made-up queries and documents"
    lines = [
        f"Written by `data_rate.py` on {datetime.date.today()} with {args.rounds} rounds: {texts}, static tokens, one",
        f"process, one thread, {os.cpu_count()} cores. Rows (queries) a second, medians; the batches of",
        "both commits are the same to the bit. Other programs may share the cores: `times` is the median ratio of",
        "processor seconds within a round.",
        "",
        "| negatives | batch | before | after | times | before, a processor second | after, a processor second |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in found["after"][0]["rates"]:
        case, size = key.rsplit(" ", 1)
        median = {
            name: [statistics.median(one["rates"][key][unit] for one in readings) for unit in (0, 1)]
            for name, readings in found.items()
        }
        ratios = [a["rates"][key][1] / b["rates"][key][1] for a, b in zip(found["after"], found["before"], strict=True)]
        cells = [median[name][unit] for unit in (0, 1) for name in ("before", "after")]
        shown = [f"{cell:,.0f}" for cell in cells]
        lines.append(
            f"| {case} | {size} | {shown[0]} | {shown[1]} | {statistics.median(ratios):.1f} | {shown[2]} | {shown[3]} |"
        )
    lines += ["", "| negatives | MiB of a worker alone, before | after |", "|---|---|---|"]
    for case in CASES:
        cells = [statistics.median(one["worker MiB"][case] for one in found[name]) for name in ("before", "after")]
        lines.append(f"| {case} | {cells[0]:.0f} | {cells[1]:.0f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
