"""Ask an index from one process while another one builds, switches, rolls back and removes.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

from hardneg.data.tables import Texts
from hardneg.data.toy import Toy
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import LiveIndex
from hardneg.serving.opened_build import OpenedBuild, open_build
from hardneg.serving.text_encoder import TextEncoder

HERE = Path(__file__).parent
WORLD = ["data=toy", "data.queries=2000", "data.docs=6000"]
TRAIN = [*WORLD, "encoder.dim=128", "trainer.max_epochs=1", "logger=csv", "evaluate.before=false", "evaluate.bm25=null"]
TRAIN += ["trainer.enable_progress_bar=false"]
QUERIES, K, AFTER = 24, 10, 1.0  # AFTER: seconds behind a switch that are counted as the switch


def main() -> None:
    """Start the one who asks, build and switch beside him, and look at all that he was told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--builds", type=int, default=12, help="runs of hardneg index, for each backend")
    parser.add_argument("--switches", type=int, default=100, help="switches between two builds that are there")
    parser.add_argument("--threads", type=int, default=3, help="that ask without a pause")
    parser.add_argument("--backends", nargs="+", default=["faiss_flat", "lancedb"], help="of index=; exact ones")
    parser.add_argument("--quiet", type=float, default=10.0, help="seconds without any switch, to compare with")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for switching.md")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        ask(args.ask, args.threads)
        return
    lines, good = [], True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, more in (("A", ["seed=1"]), ("B", ["seed=2"])):
            run(home, "train", *TRAIN, *more, f"cache={home}/cache", f"hydra.run.dir={home}/{name}")
        for backend in args.backends:
            table, sound = under_load(home, backend, args)
            lines += [f"## index={backend}", "", *table, ""]
            good &= sound
            print("\n".join(table), flush=True)
    head = f"Written by `switching.py --builds {args.builds} --switches {args.switches} --threads {args.threads}`:"
    (args.out / "switching.md").write_text("\n".join([head, SAYS, "", *lines]), encoding="utf-8")
    sys.exit(not good)


SAYS = f"""6,000 documents (two corpora), two static encoders of width 128, first {K} of {QUERIES} queries. One process
asks; another one runs `hardneg index` (each time another model or corpus, keep=2), `switch` and `rollback`."""


@dataclass
class Moments:
    """When somebody indexed, and when the pointer moved."""

    indexing: list[tuple[float, float]]
    switches: list[float]
    made: dict[str, tuple[str, int]]  # build -> checkpoint, seed of the corpus


def under_load(home: Path, backend: str, args: argparse.Namespace) -> tuple[list[str], bool]:
    """One index from its first build to its last; returns the table, and whether all was as it must be."""
    root, moments = home / backend / "index", Moments([], [], {})
    root.parent.mkdir()
    index(home, root, backend, 0, moments)
    log = (home / f"{backend}.log").open("w")
    words = [sys.executable, __file__, "--ask", str(root), "--threads", str(args.threads)]
    asker = subprocess.Popen(words, stdout=log, stderr=log)
    wait_for(root.with_name("ready"), asker)
    time.sleep(args.quiet)
    for number in range(1, args.builds + 1):
        index(home, root, backend, number, moments)
        if number % 3 == 0:
            run(home, "index", "rollback", str(root))
            moments.switches.append(time.time())
    folder = IndexFolder(root)
    for number in range(args.switches):
        with folder.writing():
            folder.switch(folder.builds()[number % 2])
        moments.switches.append(time.time())
        time.sleep(0.05)
    time.sleep(1.0)
    root.with_name("stop").touch()
    if asker.wait(120):
        sys.exit(f"the one who asks failed:\n{Path(log.name).read_text()[-3000:]}")
    return report(json.loads(root.with_name("asked.json").read_text()), moments)


def index(home: Path, root: Path, backend: str, number: int, moments: Moments) -> None:
    """Make a build that differs from the one before by model, by corpus, or by both, as a user does."""
    name, seed = "AB"[number % 2], (0, 5)[number // 2 % 2]
    checkpoint = home / name / "checkpoints" / "best.ckpt"
    begun = time.time()
    words = [*WORLD, f"data.seed={seed}", f"index={backend}", f"index.path={root}", "shard=1000"]
    run(home, "index", f"ckpt_path={checkpoint}", *words, f"hydra.run.dir={home}/out")
    ended = time.time()
    moments.indexing.append((begun, ended))
    moments.switches.append((root / "live.json").stat().st_mtime)
    moments.made[IndexFolder(root).live().name] = str(checkpoint), seed


def run(home: Path, *words: str) -> None:
    """Run a hardneg command in a process."""
    found = subprocess.run([sys.executable, "-m", "hardneg.cli", *words], cwd=home, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"hardneg {' '.join(words)} failed:\n{found.stderr[-3000:]}")


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Wait until the other process says that it has begun."""
    while not path.exists():
        if process.poll() is not None:
            sys.exit("the one who asks ended before it began")
        time.sleep(0.05)


# ---- the process that asks


class Asker:
    """What was asked in this process; answers are kept once each, by number."""

    def __init__(self, root: Path) -> None:
        self.root, self.stop = root, root.with_name("stop")
        self.texts = texts_of(Toy(queries=2000, docs=6000).load().queries)
        self.rows: list[tuple] = []
        self.answers: dict[str, int] = {}
        self.failed: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()

    def keep(self, begun: float, took: float, build: str, query: int, hits: tuple) -> None:
        """Note an answer."""
        said = json.dumps([[hit.id, round(hit.score, 6), short(hit.text)] for hit in hits])
        with self.lock:
            number = self.answers.setdefault(said, len(self.answers))
            self.rows.append((begun, took, build, query, number))

    def guarded(self, what: str, call) -> None:
        """Call until the end, and count what fails."""
        while not self.stop.exists():
            self.counts[what] += 1
            try:
                call()
            except Exception as error:
                self.failed[f"{what}: {type(error).__name__}: {str(error)[:200]}"] += 1

    def of_live(self, live: LiveIndex, rng: np.random.Generator) -> None:
        """One query to the live index, as a service asks it."""
        query = int(rng.integers(QUERIES))
        begun, clock = time.time(), time.perf_counter()
        (answer,) = live.search([self.texts[query]], K)
        self.keep(begun, time.perf_counter() - clock, answer.build, query, answer.hits)

    def of_new(self) -> None:
        """Open the index anew and ask once, as `hardneg search` does."""
        live = LiveIndex(self.root, device="cpu")
        (answer,) = live.search([self.texts[0]], K)
        self.keep(0.0, 0.0, answer.build, 0, answer.hits)
        live.close()
        time.sleep(0.2)

    def of_old(self, live: LiveIndex) -> None:
        """Hold a build, as a query does that takes long, until it was removed; then ask it for the first time."""
        held: OpenedBuild = open_build(live.build, live._opened.encoder)
        while (held.build.folder / "manifest.json").exists() and not self.stop.exists():
            time.sleep(0.02)
        hits = held.search([self.texts[1]], K)[0]
        self.keep(0.0, 0.0, held.build.name, 1, hits)
        self.counts["removed while held"] += not (held.build.folder / "manifest.json").exists()
        held.vectors.close()


def ask(root: Path, threads: int) -> None:
    """Ask until there is a file that says stop; write all that was asked."""
    asker, live = Asker(root), LiveIndex(root, device="cpu")
    chances = [np.random.default_rng(number) for number in range(threads)]
    calls = [("asked", partial(asker.of_live, live, chance)) for chance in chances]
    calls += [("opened anew", asker.of_new), ("held", partial(asker.of_old, live))]
    workers = [threading.Thread(target=asker.guarded, args=call) for call in calls]
    for worker in workers:
        worker.start()
    root.with_name("ready").touch()
    for worker in workers:
        worker.join()
    found = {"rows": asker.rows, "answers": list(asker.answers), "failed": asker.failed, "counts": asker.counts}
    root.with_name("asked.json").write_text(json.dumps(found))


def texts_of(queries: Texts) -> list[str]:
    """The texts that are asked for."""
    return queries.texts.slice(0, QUERIES).to_pylist()


def short(text: str) -> str:
    """A text by its hash."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


# ---- what he was told


def report(found: dict, moments: Moments) -> tuple[list[str], bool]:
    """Hold every answer against exact search over the corpus and model of the build that it names."""
    truths: dict[tuple[str, int], Truth] = {}
    answers = [json.loads(one) for one in found["answers"]]
    seen = Counter((row[2], row[3], row[4]) for row in found["rows"])
    wrong = 0
    for (build, query, number), times in seen.items():
        key = moments.made.get(build)
        if key is None:
            wrong += times
            continue
        if key not in truths:
            truths[key] = Truth(*key)
        wrong += times * (not truths[key].agrees(query, answers[number]))
    failed, counts = sum(found["failed"].values()), found["counts"]
    timed = np.array([row[:2] for row in found["rows"] if row[1]])
    parts = during(timed[:, 0], moments)
    lines = ["| | |", "|---|---|"]
    lines += [f"| builds made, switches | {len(moments.indexing)}, {len(moments.switches)} |"]
    lines += [f"| queries to the live index | {counts['asked']:,} |"]
    lines += [f"| openings anew, each with a query | {counts['opened anew']:,} |"]
    lines += [f"| builds that were removed while held, then asked | {counts.get('removed while held', 0):,} |"]
    lines += [f"| **failed** | {failed} |"]
    lines += [f"| **answers that are not those of the build they name** | {wrong} of {len(found['rows']):,} |", ""]
    lines += [f"- {times} x {error}" for error, times in found["failed"].items()]
    lines += ["| latency, ms | queries | p50 | p99 | longest |", "|---|---|---|---|---|"]
    for name, here in parts.items():
        if here.any():
            p50, p99, most = np.percentile(1000 * timed[here, 1], [50, 99, 100])
            lines.append(f"| {name} | {int(here.sum()):,} | {p50:.1f} | {p99:.1f} | {most:.0f} |")
    return lines, not failed and not wrong


def during(begun: np.ndarray, moments: Moments) -> dict[str, np.ndarray]:
    """Cut queries by what happened when they began."""
    switching = np.zeros(len(begun), bool)
    for moment in moments.switches:
        switching |= (begun > moment - 0.1) & (begun < moment + AFTER)
    busy = np.zeros(len(begun), bool)
    for start, end in moments.indexing:
        busy |= (begun > start) & (begun < end)
    names = ("nobody else at work", "another process indexes", f"within {AFTER:.0f} s of a switch")
    return dict(zip(names, (~busy & ~switching, busy & ~switching, switching), strict=True))


class Truth:
    """Exact search over one corpus with one model, without any index."""

    def __init__(self, checkpoint: str, seed: int) -> None:
        encoder, data = TextEncoder.load(checkpoint, "cpu"), Toy(queries=2000, docs=6000, seed=seed).load()
        ids, self.texts = data.corpus.ids.to_pylist(), data.corpus.texts.to_pylist()
        self.rows = {name: row for row, name in enumerate(ids)}
        queries = texts_of(Toy(queries=2000, docs=6000).load().queries)
        self.scores = encoder.queries(queries).astype(np.float64) @ encoder.documents(self.texts).T.astype(np.float64)

    def agrees(self, query: int, answer: list) -> bool:
        """Whether these are the K best, with their scores and texts; of equal scores either may be named."""
        scores = self.scores[query]
        least = np.sort(scores)[-K] - 2e-5
        if len({name for name, _, _ in answer}) != K or any(name not in self.rows for name, _, _ in answer):
            return False
        rows = [self.rows[name] for name, _, _ in answer]
        given = np.array([score for _, score, _ in answer])
        same = np.abs(scores[rows] - given).max() < 2e-5 and (np.diff(given) <= 1e-6).all()
        texts = all(short(self.texts[row]) == text for row, (_, _, text) in zip(rows, answer, strict=True))
        return bool(same and texts and (scores[rows] >= least).all())


if __name__ == "__main__":
    main()
