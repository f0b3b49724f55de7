"""Mining and evaluation by several gloo ranks on a CPU: the same lists as one process, and what each rank holds.

usage: rank_scale.py DATA_FOLDER OUT_FOLDER [--ranks 1,2,4] [--depth 200] [-- WORDS OF mine]

DATA_FOLDER is in BEIR layout, with train and test; OUT_FOLDER gets everything that is made. A tower is made by one step
of training; data set and tokens are there for all, vectors and rankings for none: each number of ranks has its own
cache. A rank has one thread. What is compared: documents and scores of all rankings, what the filters kept, the metrics
of the test. Prints a Markdown table; writes it to OUT_FOLDER/rank_scale.md, and every phase to rank_scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    """Mine and evaluate with each number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("words", nargs="*", help="of hardneg's commands")
    options = parser.parse_intermixed_args()
    data, out = options.data.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    of = ["data=beir", f"data.path={data}"]
    step = ["train", *of, "encoder=static", *options.words, "trainer.max_steps=1", "split.dev=null", "split.test=null"]
    if not (out / "tower").is_dir():
        started = [*step, "evaluate.bm25=null", "logger=csv", f"hydra.run.dir={out / 'tower'}"]
        subprocess.run([sys.executable, "-m", "hardneg.cli", *started], env=env(out / "cache"), check=True)
    trained = f"ckpt_path={out / 'tower' / 'checkpoints' / 'last.ckpt'}"
    commands = {
        "mine": ["mine", *of, trained, f"negatives.mined.depth={options.depth}"],
        "evaluate": ["evaluate", *of, trained, "evaluate.bm25=null"],
    }
    commands["mine"].append("filter=[known_positives,relative_margin]")
    ranks = [int(number) for number in options.ranks.split(",")]
    rows = {number: run(number, commands, out) for number in ranks}
    same = {number: compared(rows[number], rows[ranks[0]]) for number in ranks[1:]}
    (out / "rank_scale.json").write_text(json.dumps({"ranks": rows, "against one": same}, indent=1) + "\n")
    (out / "rank_scale.md").write_text(table(rows, same))
    print(table(rows, same))


def env(cache: Path) -> dict[str, str]:
    """Give every rank one thread, so that ranks and not threads share the cores."""
    return {**os.environ, "HARDNEG_CACHE": str(cache), "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}


def run(ranks: int, commands: dict[str, list[str]], out: Path) -> dict:
    """Mine and evaluate with so many ranks; what is there already is not run again."""
    folder = out / f"ranks-{ranks}"
    result = folder / "result.json"
    if result.exists():
        return json.loads(result.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    for layer in filter(lambda name: (out / "cache" / name).is_dir(), ("data", "tokens")):  # small sets are not kept
        shutil.copytree(out / "cache" / layer, folder / "cache" / layer, copy_function=os.link)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    found: dict = {"folder": str(folder)}
    for name, words in commands.items():
        phases = [str(HERE / "phases.py"), str(folder / f"{name}.json"), *words, f"hydra.run.dir={folder / name}"]
        started = time.perf_counter()
        subprocess.run([sys.executable, *launcher, *phases], env=env(folder / "cache"), check=True)
        files = [folder / f"{name}.json", *(folder / f"{name}-rank{rank}.json" for rank in range(1, ranks))]
        each = [json.loads(path.read_text()) for path in files]
        found[name] = {"seconds": time.perf_counter() - started, "ranks": each}
    result.write_text(json.dumps(found, indent=1) + "\n")
    return found


def compared(one: dict, first: dict) -> dict[str, bool | float]:
    """Hold rankings, lists and metrics against those of the first."""
    stores = [next(Path(row["folder"]).glob("cache/stores/*/card.json")).parent for row in (one, first)]
    arrays = {name: [np.load(store / f"{name}.npy") for store in stores] for name in ("ids", "scores", "reasons")}
    same = {f"{name} of all lists the same": bool(np.array_equal(*pair)) for name, pair in arrays.items()}
    metrics = [json.loads((Path(row["folder"]) / "evaluate" / "summary.json").read_text()) for row in (one, first)]
    finite = np.isfinite(arrays["scores"][1])
    apart = float(np.abs(arrays["scores"][0][finite] - arrays["scores"][1][finite]).max())
    shared = float((arrays["ids"][0] == arrays["ids"][1]).mean())
    same_metrics = metrics[0].get("test") == metrics[1].get("test")
    return {**same, "largest difference of scores": apart, "same places": shared, "metrics the same": same_metrics}


def table(rows: dict[int, dict], same: dict[int, dict]) -> str:
    """Write both tables; memory is that of the largest rank."""
    lines = [
        "| ranks | command | seconds | CPU seconds of all | of the largest rank: peak MB | of it its own |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for ranks, row in rows.items():
        for name in ("mine", "evaluate"):
            each = row[name]["ranks"]
            largest = [max(rank[key] for rank in each) for key in ("peak_mb", "held_mb")]
            figures = [row[name]["seconds"], sum(rank["cpu"] for rank in each), *largest]
            lines.append(f"| {ranks} | {name} | " + " | ".join(f"{value:.0f}" for value in figures) + " |")
    lines += ["", "| against one rank | " + " | ".join(map(str, same)) + " |", "| --- |" + " --- |" * len(same)]
    for key in next(iter(same.values()), {}):
        lines.append(f"| {key} | " + " | ".join(str(facts[key]) for facts in same.values()) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
