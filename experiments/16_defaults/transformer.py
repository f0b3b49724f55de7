"""The rate of a transformer in a short run, exploratory: MiniLM as it ships, on a few queries of two sets, one seed.

usage: python transformer.py DATA_FOLDER OUT_FOLDER > transformer.md      (what is done is not done again)

Dev is evaluated at the end alone, over a part of the documents (`evaluate.documents=subset`): ranking all of them would
take longer than the training.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))  # which cuts sets for encoders that cost more

import part
import study

SETS = ("nl2bash", "or-sharc")
QUERIES = 600
RATES = (1e-5, 2e-5, 5e-5, 1e-4)
WORDS = ["data=beir", "encoder=minilm", "batch_size=64", "evaluate.every_n_epochs=3", "split.test=null", "seed=1"]
WORDS += ["evaluate.documents=subset", "evaluate.subset.size=2000", "evaluate.subset.model=0", "logger=csv"]
WORDS += ["evaluate.before=false", "trainer.enable_progress_bar=false"]


def main() -> None:
    """Train what is missing, then print the table."""
    data, out = (Path(one).resolve() for one in sys.argv[1:3])
    study.without_what_nobody_reads()
    for name, rate in product(SETS, RATES):
        cut = out / f"{name}-{QUERIES}"
        if not cut.is_dir():
            print(part.main(data / name, cut, QUERIES) or "", file=sys.stderr)
        if not (folder(out, name, rate) / "summary.json").exists():
            study.train([*WORDS, f"optimizer.lr={rate}"], cut, folder(out, name, rate))
    print("| set | steps | " + " | ".join(f"{rate:g}" for rate in RATES) + " |\n| --- | --- |" + " --- |" * len(RATES))
    for name in SETS:
        found = [json.loads((folder(out, name, rate) / "summary.json").read_text("utf-8")) for rate in RATES]
        cells = [f"{one['dev']['best']:.3f}" for one in found]
        print(f"| {name} | {found[0]['steps']} | {' | '.join(cells)} |")


def folder(out: Path, name: str, rate: float) -> Path:
    """Where a run lies."""
    return out / "transformer" / name / f"{rate:g}" / "1"


if __name__ == "__main__":
    main()
