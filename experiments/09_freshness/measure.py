"""Ask an index of one checkpoint with others: whether each is refused, and what its answers would have been worth."""

from __future__ import annotations

import argparse
import contextlib
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sides import Asked, ask, at_random, interval, measured

from hardneg import cli
from hardneg.ab.effects import Pairing
from hardneg.compare.clusters import components
from hardneg.data.readers.beir import Beir
from hardneg.serving import canaries
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.text_encoder import TextEncoder

RECALL = "recall@100"
WHAT = {
    "seed": "another seed from the same start",
    "negatives": "BM25 negatives from the same start",
    "light": "A trained on, lr 0.0001 for 0.01",
    "on": "A trained on with BM25 negatives",
    "other": "from scratch, another tokenizer",
    "queries": "A's queries trained on, documents frozen",
    "minilm_30": "MiniLM trained on for 30 steps",
    "A": "a static tower that began with MiniLM's words",
}


@dataclass(frozen=True)
class Study:
    """Checkpoints and indexes in a folder, and the test split."""

    out: Path
    data: Path

    def checkpoint(self, name: str) -> Path:
        """Where a checkpoint lies: imported, trained with a dev split, or without one."""
        beside = self.out / f"{name}.ckpt"
        best = self.out / name / "checkpoints" / "best.ckpt"
        return beside if beside.exists() else best if best.exists() else best.with_name("last.ckpt")

    def index(self, name: str, backend: str = "faiss_flat", shard: int = 200) -> Path:
        """An index of a checkpoint, as `hardneg index` makes it."""
        root = self.out / "indexes" / f"{name}-{backend}-{shard}"
        if not (root / "live.json").exists():
            words = [f"ckpt_path={self.checkpoint(name)}", "data=beir", f"data.path={self.data}", f"index.path={root}"]
            words += [
                f"index={backend}",
                f"shard={shard}",
                f"cache={self.out}/cache",
                f"hydra.run.dir={self.out}/run",
                "precision=32-true",
            ]
            with (self.out / "index.log").open("a") as log, contextlib.redirect_stdout(log):
                cli.run("index", *words)
        return root

    def refusal(self, live: str, other: str) -> tuple[int, str]:
        """The exit code of `hardneg search` with the other checkpoint, and what it says."""
        words = ["search", str(self.index(live)), "a question", "--ckpt-path", str(self.checkpoint(other))]
        found = subprocess.run([sys.executable, "-m", "hardneg.cli", *words], capture_output=True, text=True)
        return found.returncode, (found.stderr or found.stdout).strip().splitlines()[-1]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder that train.sh filled")
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--live", default="A", help="the checkpoint of the index")
    parser.add_argument("--others", nargs="+", default=["seed", "negatives", "light", "on", "other", "queries"])
    parser.add_argument("--markdown", type=Path, required=True)
    args = parser.parse_args()
    study, data = Study(args.out.absolute(), args.data.absolute()), Beir(path=str(args.data)).load()
    qrels = data.split("test")
    rows = qrels.query_rows
    pairing = Pairing(np.ones(len(rows)), components(qrels, len(data.queries))[rows], 0.01)
    texts = data.queries.take(rows)
    logging.disable(logging.WARNING)  # each stale index says so
    own = measured(ask(study.index(args.live), study.checkpoint(args.live), texts), data, qrels)
    chance = measured(at_random(data, len(texts)), data, qrels)
    lines = ["| asked with | canaries: lowest, median | `hardneg search` | nDCG@10 | its own new index | difference |"]
    lines[0] += " recall@100 | its own |"
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [row([f"{args.live} itself", "1.0000, 1.0000", "answers"], pairing, own, own)]
    said = []
    for other in args.others:
        code, message = study.refusal(args.live, other)
        stale = ask(study.index(args.live), study.checkpoint(other), texts)
        fresh = measured(ask(study.index(other), study.checkpoint(other), texts), data, qrels)
        refused = f"refused, exit {code}" if code else "answers"
        cosines = sung(study.index(args.live), study.checkpoint(other))
        head = [f"{other}: {WHAT[other]}", f"{cosines.min():.4f}, {np.median(cosines):.4f}", refused]
        lines.append(row(head, pairing, measured(stale, data, qrels), fresh))
        print(lines[-1], flush=True)
        if code:
            said += ["", f"    {other}: {message.replace(str(study.out), 'OUT').replace(str(study.data), 'DATA')}"]
    lines.append(row(["nobody: 100 documents at random", "", ""], pairing, chance, None))
    head = f"Written by `measure.py`: {data.name}, {len(data.corpus)} documents, {len(rows)} test queries; index of"
    head += f" {args.live}, intervals of 95%, queries that share a document as one draw.\n\n"
    args.markdown.write_text(head + "\n".join([*lines, "", "What `hardneg search` says:", *said, ""]), encoding="utf-8")


def row(head: list[str], pairing: Pairing, stale: Asked, fresh: Asked | None) -> str:
    """A row of the table."""
    ndcg, recall = stale["ndcg@10"], f"{stale['recall@100'].mean():.4f}"
    cells = [*head, f"{ndcg.mean():.4f} {interval(pairing, ndcg)}"]
    if fresh is None:
        return f"| {' | '.join([*cells, '', '', recall, ''])} |"
    effect = pairing.effect("", fresh["ndcg@10"], ndcg)
    cells += [f"{effect.old:.4f}", f"{effect.difference.mean:+.4f} [{effect.low:+.4f}, {effect.high:+.4f}]"]
    return f"| {' | '.join([*cells, recall, f'{fresh[RECALL].mean():.4f}'])} |"


def sung(root: Path, checkpoint: Path) -> np.ndarray:
    """The cosine of each canary as a document, at indexing and with this checkpoint."""
    kept = canaries.from_plain(IndexFolder(root).live().manifest.canaries)
    now = canaries.sing(TextEncoder.load(checkpoint, "cpu", "32-true"))
    return canaries.cosines(kept["document"], now["document"])


if __name__ == "__main__":
    main()
