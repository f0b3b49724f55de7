"""Hardneg's mining beside sentence-transformers' `mine_hard_negatives`: the same static tower, exact search, one run.

usage: mining_peer.py DATA_FOLDER OUT_FOLDER [--dim 256] [--depth 200] [--negatives 20]

DATA_FOLDER is in BEIR layout, with train; OUT_FOLDER gets everything that is made. A tower is made by one step of
training and exported, so that both have the same words and weights. Each row is a whole process, from raw files to a
file with every query, its positive and its negatives: with a margin of 5%, and again with 10%. Both may keep what they
like between the two (`HARDNEG_CACHE`; `cache_folder`), and nothing is there before the first. The tools take turns.

Prints a Markdown table; writes it to OUT_FOLDER/mining_peer.md, and every phase to mining_peer.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
MARGINS = (0.05, 0.1)
TOOLS = ("hardneg", "sentence-transformers")


def main() -> None:
    """Make the tower, run both tools with both margins, and compare their lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("--negatives", type=int, default=20)
    parser.add_argument(
        "--batch", type=int, default=16_384, help="their faiss_batch_size: queries x documents in memory"
    )
    parser.add_argument("--theirs", type=float, help="mine with this margin in this process: how the others are run")
    options = parser.parse_args()
    options.data, options.out = options.data.resolve(), options.out.resolve()
    if options.theirs is not None:
        theirs(options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    make_tower(options)
    rows = {f"{tool}, margin {margin}": measured(tool, margin, options) for margin in MARGINS for tool in TOOLS}
    shared = {margin: overlap(*(lists(tool, margin, options) for tool in TOOLS)) for margin in MARGINS}
    (options.out / "mining_peer.json").write_text(json.dumps({"rows": rows, "lists": shared}, indent=1) + "\n")
    (options.out / "mining_peer.md").write_text(table(rows, shared))
    print(table(rows, shared))


def command(tool: str, margin: float, options: argparse.Namespace) -> list[str]:
    """Name the command of a row."""
    out = options.out / f"{tool}-{margin}.json"
    if tool != "hardneg":
        given = [f"--depth={options.depth}", f"--negatives={options.negatives}", f"--batch={options.batch}"]
        given.append(f"--theirs={margin}")
        return [sys.executable, __file__, str(options.data), str(options.out), *given]
    return [
        *(sys.executable, str(HERE / "phases.py"), str(out), "mine", "data=beir", f"data.path={options.data}"),
        *("negatives=[mined]", f"negatives.mined.depth={options.depth}", f"negatives.mined.k={options.negatives}"),
        *("filter=[known_positives,relative_margin]", f"filter.relative_margin.margin={margin}"),
        *("export.form=n_tuple", f"export.path={options.out / f'{tool}-{margin}.jsonl'}"),
        f"ckpt_path={options.out / 'tower' / 'checkpoints' / 'last.ckpt'}",
        f"hydra.run.dir={options.out / f'mine-{margin}'}",
    ]


def make_tower(options: argparse.Namespace) -> None:
    """Train one step, in a cache of its own, and export."""
    run, env = options.out / "tower", {**os.environ, "HARDNEG_CACHE": str(options.out / "cache-of-tower")}
    hardneg = [sys.executable, "-m", "hardneg.cli"]
    words = ["train", "data=beir", f"data.path={options.data}", "encoder=static", f"encoder.dim={options.dim}"]
    words += ["trainer.max_steps=1", "split.dev=null", "split.test=null", "evaluate.bm25=null", "logger=csv"]
    if not (options.out / "model").is_dir():
        subprocess.run([*hardneg, *words, f"hydra.run.dir={run}"], env=env, check=True)
        subprocess.run([*hardneg, "export", str(run), str(options.out / "model")], env=env, check=True)


def measured(tool: str, margin: float, options: argparse.Namespace) -> dict:
    """Run a row in a fresh process; what is there already is not run again."""
    result = options.out / f"{tool}-{margin}.json"
    if not result.exists():
        env = {**os.environ, "HARDNEG_CACHE": str(options.out / "cache")}
        started = time.perf_counter()
        subprocess.run(command(tool, margin, options), env=env, check=True)
        seconds = time.perf_counter() - started
        result.write_text(json.dumps({**json.loads(result.read_text()), "process_seconds": seconds}, indent=1) + "\n")
    return json.loads(result.read_text())


def theirs(options: argparse.Namespace) -> None:
    """Read the files as their documentation does, mine, and write the data set."""
    from phases import watched

    with watched(options.out / f"{TOOLS[1]}-{options.theirs}.json") as phases:
        from datasets import Dataset
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.util import mine_hard_negatives

        with phases.phase("read"):
            corpus, queries = (
                {row["_id"]: row["text"] for row in map(json.loads, (options.data / f"{name}.jsonl").open())}
                for name in ("corpus", "queries")
            )
            judged = [line.split("\t") for line in (options.data / "qrels" / "train.tsv").read_text().splitlines()[1:]]
            columns = {"anchor": [queries[q] for q, _, _ in judged], "positive": [corpus[d] for _, d, _ in judged]}
        with phases.phase("mine_hard_negatives"):
            found = mine_hard_negatives(
                Dataset.from_dict(columns), SentenceTransformer(str(options.out / "model"), device="cpu"),
                corpus=list(corpus.values()), range_max=options.depth, num_negatives=options.negatives,
                relative_margin=options.theirs, output_format="n-tuple", batch_size=256, verbose=False,
                faiss_batch_size=options.batch,
                cache_folder=str(options.out / "cache-of-theirs"),
            )  # fmt: skip
        with phases.phase("write"):
            found.to_json(options.out / f"{TOOLS[1]}-{options.theirs}.jsonl")


def lists(tool: str, margin: float, options: argparse.Namespace) -> dict[str, list[str]]:
    """Read the negatives of each query."""
    with (options.out / f"{tool}-{margin}.jsonl").open() as lines:
        rows = map(json.loads, lines)
        return {row["anchor"]: [row[f"negative_{i}"] for i in range(1, options.negatives + 1)] for row in rows}


def overlap(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, float]:
    """Compare the lists of queries that both have."""
    both = one.keys() & other.keys()
    same = [len(set(one[query]) & set(other[query])) / len(one[query]) for query in both]
    equal = [one[query] == other[query] for query in both]
    share = {"shared": sum(same) / len(both), "equal": sum(equal) / len(both)}
    return {"queries of hardneg": len(one), "of sentence-transformers": len(other), "of both": len(both), **share}


def table(rows: dict[str, dict], shared: dict[float, dict[str, float]]) -> str:
    """Write both tables."""
    lines = [
        f"sentence-transformers {version('sentence-transformers')}, torch {version('torch')}.",
        "",
        "| | seconds | CPU seconds | peak MB | of it its own |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        figures = (row["process_seconds"], row["cpu"], row["peak_mb"], row["held_mb"])
        lines.append(f"| {name} | " + " | ".join(f"{value:.0f}" for value in figures) + " |")
    lines += ["", "| margin | " + " | ".join(next(iter(shared.values()))) + " |", "| --- |" + " --- |" * 5]
    for margin, facts in shared.items():
        cells = [f"{value:.4f}" if isinstance(value, float) else f"{value}" for value in facts.values()]
        lines.append(f"| {margin} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
