"""Open fresh indexes a thousand times: how often one is called stale, and how near it came."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measure import Study
from stale_shards import wilson

from hardneg.serving import canaries
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.opened_build import open_build
from hardneg.serving.text_encoder import TextEncoder

PLANS = (  # checkpoint, index=, documents a shard, precision, threads, share of the openings
    ("A", "faiss_flat", 354, "32-true", 1, 0.3),
    ("A", "faiss_flat", 354, "32-true", 2, 0.2),
    ("A", "faiss_ivfpq", 354, "32-true", 1, 0.2),
    ("A", "lancedb", 354, "32-true", 1, 0.14),
    ("minilm", "faiss_flat", 200, "32-true", 1, 0.04),
    ("minilm", "faiss_flat", 200, "32-true", 2, 0.04),
    ("minilm", "faiss_flat", 200, "bf16-mixed", 1, 0.04),
    ("minilm", "faiss_flat", 200, "bf16-mixed", 2, 0.04),
)


@dataclass
class Lowest:
    """The lowest cosine of canaries, and of stored vectors, that any opening saw."""

    canaries: float = 1.0
    stored: float = 1.0

    def watch(self) -> None:
        """See all cosines that the checks compute."""
        plain = canaries.cosines

        def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
            found = plain(one, other)
            what = "canaries" if len(found) == len(canaries.TEXTS) else "stored"
            setattr(self, what, min(getattr(self, what), float(found.min())))
            return found

        canaries.cosines = cosines


def main() -> None:
    """Open, count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder that train.sh filled")
    parser.add_argument("data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--openings", type=int, default=1000)
    parser.add_argument("--markdown", type=Path, required=True)
    args = parser.parse_args()
    study, lowest = Study(args.out.absolute(), args.data.absolute()), Lowest()
    lowest.watch()
    lines = [
        "| encoder, index= | shards | asked in | threads | openings | called stale | lowest cosine: canaries | stored |"
    ]
    lines[0] += " ms an opening |"
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    total = wrong = 0
    for name, backend, shard, precision, threads, part in PLANS:
        build = IndexFolder(study.index(name, backend, shard)).live()
        torch.set_num_threads(threads)
        encoder = TextEncoder.load(study.checkpoint(name), "cpu", precision)
        lowest.canaries = lowest.stored = 1.0
        times, alarms = [], 0
        for _ in range(round(part * args.openings)):
            begun = time.perf_counter()
            opened = open_build(build, encoder, allow_stale=True)
            times.append(1000 * (time.perf_counter() - begun))
            alarms += not opened.freshness.fresh
            opened.close()
        total, wrong = total + len(times), wrong + alarms
        cells = [f"{name}, {backend}", len(build.shards), precision, threads, len(times), alarms]
        cells += [f"{lowest.canaries:.6f}", f"{lowest.stored:.6f}", f"{np.median(times):.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        print(lines[-1], flush=True)
    head = (
        f"Written by `openings.py`: {study.data.name}; indexes made in 32-true. In all {wrong} false alarms in {total}"
    )
    head += f" openings, 95%: {wilson(wrong, total)}.\n\n"
    args.markdown.write_text(head + "\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
