"""Print what run.sh left: a row for each run, with its encoder before training where that was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

METRICS = ("ndcg@10", "recall@100")


def main(out):
    """Print the table."""
    print("| recipe | negatives | loss | steps | nDCG@10 before | after | Recall@100 before | after |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for path in sorted(out.rglob("summary.json")):
        run = json.loads(path.read_text())
        test = run["test"]
        after = test.get("after") or test.get("reranked") or test[list(test)[-1]]
        cells = [f"{(test.get('before') or {}).get(m, float('nan')):.3f} | {after[m]:.3f}" for m in METRICS]
        name = path.parent.relative_to(out)
        print(
            f"| {name} | {run['strategy']} | {run['loss']} | {run['steps']} | {' | '.join(cells).replace('nan', '-')} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
