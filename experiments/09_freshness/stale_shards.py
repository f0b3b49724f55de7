"""Make one shard of many stale, in whole or in part, and see how often that is found."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from measure import Study
from scipy import stats

from hardneg.serving import canaries, embedding_space
from hardneg.serving.backends.base import Vectors
from hardneg.serving.builds import Build
from hardneg.serving.freshness import COMPARED, examine
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.opened_build import MOST
from hardneg.serving.text_encoder import TextEncoder

SIZES = {30: 354, 200: 53}  # shards of nl2bash's 10,593 documents, and documents a shard
PARTS = {"all": 1.0, "50%": 0.5, "10%": 0.1, "1%": 0.01}
WAYS = {
    "opened": {"most": MOST},
    "check": {"sample": 8, "files": True},
    "check sample=100": {"sample": 100, "files": True},
}
TRIALS = {"opened": 1.0, "check": 0.5, "check sample=100": 0.1}


@dataclass(frozen=True)
class Index:
    """An open index of A, and what another checkpoint makes of its documents."""

    build: Build
    vectors: Vectors
    encoder: TextEncoder
    others: list[np.ndarray]

    def stale(self, share: float, rng: np.random.Generator) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Choose a shard and some of its documents; return their ids, their vectors, and the other checkpoint's."""
        number = int(rng.integers(len(self.build.shards)))
        shard = self.build.shards[number]
        rows = np.sort(rng.permutation(len(shard))[: max(round(share * len(shard)), 1)])
        return shard.documents.texts.ids.take(rows).to_pylist(), shard.vectors[rows], self.others[number][rows]

    def found(self, way: str, share: float, rng: np.random.Generator) -> tuple[bool, bool]:
        """Whether it is found by making vectors again, and by comparing what is stored; then all is as before."""
        ids, own, other = self.stale(share, rng)
        self.vectors.upsert(ids, other)
        looked = {one.about: one.fresh for one in examine(self.build, self.encoder, self.vectors, **WAYS[way]).findings}
        self.vectors.upsert(ids, own)
        return not looked["vectors"], not looked["stored"]


def main() -> None:
    """Try, count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder that train.sh filled")
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--others", nargs="+", default=["negatives", "light"])
    parser.add_argument("--trials", type=int, default=100, help="openings; of checks half and a tenth")
    parser.add_argument("--markdown", type=Path, required=True)
    args = parser.parse_args()
    study, rng = Study(args.out.absolute(), args.data.absolute()), np.random.default_rng(0)
    encoder = TextEncoder.load(study.checkpoint("A"), "cpu", "32-true")
    known = embedding_space.of(encoder)
    embedding_space.of = lambda _: known  # hashing the same weights in every trial would take most of the time
    lines = ["| stale vectors of | shards | part of one shard | way | by making again | expected | by comparing |"]
    lines[0] += " expected |"
    lines += ["|---|---|---|---|---|---|---|---|"]
    notes = []
    for name, (size, documents) in product(args.others, SIZES.items()):
        other = TextEncoder.load(study.checkpoint(name), "cpu", "32-true")
        build = IndexFolder(study.index("A", "faiss_flat", documents)).live()
        others = [other.documents(shard.documents.texts) for shard in build.shards]
        index = Index(build, build.backend.open(build.vectors), encoder, others)
        own = np.concatenate([shard.vectors for shard in build.shards])
        cosines = canaries.cosines(own, np.concatenate(others))
        seen = float((cosines < canaries.CLOSE).mean())
        if size == min(SIZES):
            notes.append(f"{name}: a document's two vectors have a cosine of {np.median(cosines):.4f} in the middle,")
            notes.append(f"{cosines.min():.4f} to {cosines.max():.4f}; {seen:.1%} are below {canaries.CLOSE}.")
        for part, way in product(PARTS if name == args.others[0] else ["all"], WAYS):
            times = max(round(TRIALS[way] * args.trials), 1)
            lines.append(trials(index, (name, part, way), seen, times, rng))
            print(lines[-1], flush=True)
    head = f"Written by `stale_shards.py`: {study.data.name}, index=faiss_flat of A; 95% intervals (Wilson).\n\n"
    args.markdown.write_text(head + "\n".join([*notes, "", *lines, ""]), encoding="utf-8")


def trials(index: Index, words: tuple[str, str, str], seen: float, times: int, rng: np.random.Generator) -> str:
    """A row of the table."""
    (name, part, way), share = words, PARTS[words[1]]
    found = np.array([index.found(way, share, rng) for _ in range(times)])
    shards, size = len(index.build.shards), len(index.build.shards[0])
    stale, sample = max(round(share * size), 1), WAYS[way].get("sample", 1)
    hit = min(WAYS[way].get("most", shards), shards) / shards
    encoded = hit * (1 - stats.hypergeom.pmf(0, size, round(stale * seen), min(sample, size)))
    compared = 1 - stats.hypergeom.pmf(0, size, stale, size if "files" in WAYS[way] else min(COMPARED, size))
    cells = [name, shards, part, way, f"{found[:, 0].mean():.1%} {wilson(int(found[:, 0].sum()), times)}"]
    cells += [f"{encoded:.1%}", f"{found[:, 1].mean():.1%} {wilson(int(found[:, 1].sum()), times)}", f"{compared:.1%}"]
    return f"| {' | '.join(map(str, cells))} |"


def wilson(hits: int, of: int) -> str:
    """The 95% interval of a share (Wilson 1927)."""
    low, high = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return f"[{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
