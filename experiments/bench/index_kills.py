"""Kill hardneg index at random moments of every phase, run it again, and compare its end with that of a whole one.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Imported once, here: each run is a fork, so that a kill never falls into three seconds of imports.
import hardneg.commands.index
import hardneg.sweep.hydra_app
from hardneg.data.toy import Toy
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import LiveIndex

HERE = Path(__file__).parent
TRAIN = ["data=toy", "data.queries=2000", "data.docs=6000", "encoder.dim=128", "trainer.max_epochs=1", "logger=csv"]
TRAIN += ["evaluate.before=false", "evaluate.bm25=null", "trainer.enable_progress_bar=false"]
DOCUMENTS = {"faiss_flat": 6000, "faiss_hnsw": 6000, "lancedb": 6000, "qdrant": 400}  # Qdrant's local mode fills slowly
SHARDS = 12
PHASES = (  # where each begins; the last one that began is what the process is at
    ("reading model and documents", "hardneg.commands.index", "index"),
    ("embedding", "hardneg.serving.embed_shards", "Embedding.run"),
    ("filling the backend", "hardneg.serving.builder", "load"),
    ("measuring recall", "hardneg.serving.builder", "recall"),
    ("writing the manifest", "hardneg.serving.manifest", "Manifest.write"),
    ("checking", "hardneg.serving.opened_build", "open_build"),
    ("switching", "hardneg.serving.index_folder", "IndexFolder.switch"),
    ("removing old builds", "hardneg.serving.index_folder", "IndexFolder.prune"),
)
NAMES = [name for name, _, _ in PHASES]
CASES = {"another model": ("B", 0), "5% of the documents changed": ("A", 1)}


def main() -> None:
    """Kill, run again and compare; print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="for each backend")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backends", nargs="+", choices=DOCUMENTS, default=list(DOCUMENTS))
    parser.add_argument("--out", type=Path, default=HERE, help="folder for index_kills.md")
    args = parser.parse_args()
    chance, good = random.Random(args.seed), True
    lines = [f"Written by `index_kills.py --kills {args.kills} --seed {args.seed}`, {SHARDS} shards.", ""]
    lines += ["| index= | what is new | killed while | runs killed | like a whole one | live in between | left over |"]
    lines += ["|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, seed in (("A", 1), ("B", 2)):
            words = [*TRAIN, f"seed={seed}", f"cache={home}/cache", f"hydra.run.dir={home}/{name}"]
            subprocess.run(
                [sys.executable, "-m", "hardneg.cli", "train", *words], cwd=home, check=True, capture_output=True
            )
        for backend in args.backends:
            world = World(home / backend, home, backend)
            for what, case in CASES.items():
                row, sound = world.cut_short(case, args.kills // 2, chance)
                lines.append(f"| {backend} | {what} | {row} |")
                good &= sound
                print(lines[-1], flush=True)
    (args.out / "index_kills.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    sys.exit(not good)


class World:
    """A corpus, the same with changes, and an index of it that is live."""

    def __init__(self, folder: Path, home: Path, backend: str) -> None:
        self.folder, self.home, self.backend = folder, home, backend
        documents = DOCUMENTS[backend]
        corpus = Toy(queries=documents // 3, docs=documents).load().corpus
        texts = corpus.texts.to_pylist()
        self.queries = [f"what of {text[:40]}" for text in texts[:: documents // 8]]
        write(folder / "0", corpus.ids.to_pylist(), texts)
        changed = [f"{text} anew" if row % 20 == 7 else text for row, text in enumerate(texts)]
        write(folder / "1", corpus.ids.to_pylist(), changed)
        self.base = folder / "base"
        self.run(self.base, "A", 0)
        self.known = dict([self.answers(self.base)])

    def cut_short(self, case: tuple[str, int], kills: int, chance: random.Random) -> tuple[str, bool]:
        """Kill as often as that; return a row of the table, and whether all was as it must be."""
        whole = self.copy()
        begun = self.run(whole, *case)
        expected = self.state(whole)
        self.known |= dict([self.answers(whole)])
        wanted = [number % len(PHASES) for number in range(kills)]
        chance.shuffle(wanted)
        moments: Counter[str] = Counter()
        same = answered = runs = 0
        left: set[str] = set()
        while wanted:
            root, times = self.copy(), 0
            while wanted and times < 2:
                phase = wanted.pop()
                killed = self.run(root, *case, kill=(phase, chance.uniform(0, begun[phase + 1] - begun[phase])))
                if killed is None:  # it came too late: this phase has little to do the second time
                    wanted.append(phase)
                    break
                times += 1
                moments[NAMES[killed]] += 1
                name, answers = self.answers(root)
                answered += self.known.get(name) == answers
            self.run(root, *case)
            found = self.state(root)
            runs += 1
            same += found["index"] == expected["index"]
            left |= set(found["files"]) ^ set(expected["files"])
            shutil.rmtree(root)
        done = sum(moments.values())
        where = ", ".join(f"{name} {moments[name]}" for name in NAMES if moments[name])
        row = f"{where} | {runs} | {same} | {answered} of {done} | {', '.join(sorted(left)[:4]) or 'nothing'}"
        return row, same == runs and answered == done and not left

    def copy(self) -> Path:
        """Another index like the one that is live."""
        root = self.folder / "index"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.base, root)
        return root

    def run(self, root: Path, model: str, corpus: int, kill: tuple[int, float] | None = None):
        """Run hardneg index; return when each phase began, or what it was at when killed (None: it had ended)."""
        checkpoint = self.home / model / "checkpoints" / "best.ckpt"
        words = [f"ckpt_path={checkpoint}", "data=beir", f"data.path={self.folder}/{corpus}", f"index={self.backend}"]
        words += [f"index.path={root}", f"shard={-(-DOCUMENTS[self.backend] // SHARDS)}", f"cache={self.home}/cache"]
        words += [f"hydra.run.dir={self.home}/out"]
        shared = mmap.mmap(-1, 8 * (len(PHASES) + 2))

        def work() -> None:
            watch(shared)
            sys.argv = ["hardneg", "index", *words]
            hardneg.sweep.hydra_app.start("index", words, hardneg.commands.index.index)
            mark(shared, len(PHASES))

        process = fork(work, self.home / "log")
        if kill is not None:
            phase, delay = kill
            while shared[0] < phase + 1 and os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                time.sleep(0.0002)
            time.sleep(delay)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            return max(shared[0] - 1, 0)
        if status:
            sys.exit(f"hardneg index failed:\n{(self.home / 'log').read_text()[-3000:]}")
        return None if kill else list(struct.unpack_from(f"{len(PHASES) + 1}d", shared, 8))

    def answers(self, root: Path) -> tuple[str, list]:
        """The live build, and what it answers."""

        def work() -> tuple[str, list]:
            live = LiveIndex(root, device="cpu")
            found = live.search(self.queries, 10)
            return live.build.name, [[(hit.id, round(hit.score, 5), hit.text) for hit in one.hits] for one in found]

        name, said = told(work, self.home)
        return name, said

    def state(self, root: Path) -> dict:
        """What the index is, and all its files; how LanceDB names its own is its affair."""

        def work() -> dict:
            folder, found = IndexFolder(root), []
            for build in folder.builds():
                manifest = {key: value for key, value in asdict(build.manifest).items() if key not in TIMES}
                manifest["recall"] = build.manifest.measured["recall@10"]
                ids = [name for shard in build.shards for name in shard.documents.texts.ids.to_pylist()]
                vectors = build.backend.open(build.vectors)
                stored = vectors.fetch(ids)
                asked = vectors.search(stored[:: len(ids) // 20], 10)
                shards = [{p.name: hashed(p.read_bytes()) for p in sorted(s.folder.iterdir())} for s in build.shards]
                found.append([manifest, ids, hashed(stored.tobytes()), asked, vectors.count(), shards])
                vectors.close()
            paths = [str(path.relative_to(root)) for path in root.rglob("*")]
            own = [path for path in paths if "/vectors/" not in path or self.backend != "lancedb"]
            return {"index": [folder.stack(), found], "files": own}

        return told(work, self.home)


TIMES = ("created", "measured")


def watch(shared: mmap.mmap) -> None:
    """Note the beginning of each phase, in a process that runs the command."""
    for number, (_, module, name) in enumerate(PHASES):
        owner = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, last, marked(getattr(owner, last), shared, number))


def marked(call: Callable, shared: mmap.mmap, number: int) -> Callable:
    """The same, saying when it begins."""

    def begun(*args, **more):
        mark(shared, number)
        return call(*args, **more)

    return begun


def mark(shared: mmap.mmap, number: int) -> None:
    """Write the time, then the number."""
    struct.pack_into("d", shared, 8 * (number + 1), time.monotonic())
    shared[0] = number + 1


def fork(work: Callable[[], None], log: Path) -> int:
    """Do the work in another process; return its id."""
    if process := os.fork():
        return process
    code = 1
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        work()
        code = 0
    except SystemExit as end:
        code = 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def told(work: Callable, home: Path):
    """What the work returns in another process, since LanceDB's threads do not outlive a fork."""
    path = home / "told.json"
    _, status = os.waitpid(fork(lambda: path.write_text(json.dumps(work())), home / "log"), 0)
    if status:
        sys.exit((home / "log").read_text()[-3000:])
    return json.loads(path.read_text())


def write(folder: Path, ids: list[str], texts: list[str]) -> None:
    """A corpus in BEIR layout, with as many queries as the reader wants."""
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in zip(ids, texts, strict=True)]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "what"}) + "\n")
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{ids[0]}\t1\n")


def hashed(content: bytes) -> str:
    """A short name for many bytes."""
    return blake2b(content, digest_size=12).hexdigest()


if __name__ == "__main__":
    main()
