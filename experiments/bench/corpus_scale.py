"""What a large corpus costs, command by command and phase by phase: seconds, processor time and peak memory.

usage: corpus_scale.py DATA_FOLDER OUT_FOLDER [--rows step,mine,margin,evaluate] [-- WORDS OF EVERY COMMAND]

DATA_FOLDER is in BEIR layout, with train, dev and test; OUT_FOLDER gets runs and a cache of its own, so that nothing
was there before. Each row is a command as a user types it, in a fresh process (see `phases.py`). A row whose result is
there already is not run again, so that an interrupted benchmark goes on. Words after `--` belong to train (`dim` and
the like) and, from `search=` on, to all that search.

Rows: `read` and `open` (the data set, the first time and again), `step` (words, tokens, one step), `mine`, `margin`
(the same with other filters), `evaluate`, and `epoch` (one epoch that mines once and evaluates once).
Prints a Markdown table; writes it to OUT_FOLDER/table.md, and everything to OUT_FOLDER/corpus_scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from held_memory import mib
from phases import watched

HERE = Path(__file__).parent
QUIET = ["evaluate.before=false", "evaluate.bm25=null", "alarms.bm25_queries=null", "logger=csv"]
ALL = ["read", "open", "step", "mine", "margin", "evaluate"]


def main() -> None:
    """Run the rows that are not there yet, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", default=",".join(ALL), help="of read, open, step, mine, margin, evaluate, epoch")
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("--open", help="open the data set in this process: how rows are run")
    parser.add_argument("words", nargs="*", help="of hardneg's commands")
    options = parser.parse_intermixed_args()
    if options.open:
        open_data(options.data, options.out / "cache", options.out / options.open)
        return
    data, out = options.data.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows = commands(data, out, options.depth, options.words)
    for name in options.rows.split(","):
        title, words = rows[name]
        result = out / f"row-{name}.json"
        if not result.exists():
            run(words, result, out)
        (out / "corpus_scale.json").write_text(json.dumps(found(rows, out), indent=1) + "\n")
        (out / "table.md").write_text(table(found(rows, out)))
        print(title, flush=True)
    print(table(found(rows, out)))


def commands(data: Path, out: Path, depth: int, words: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Name the rows: what each is called, and its command."""
    hardneg = [sys.executable, str(HERE / "phases.py")]
    searched = [word for word in words if word.startswith("search")]
    encoder = ["encoder=static", "batch_size=256", *(word for word in words if word not in searched)]
    of = ["data=beir", f"data.path={data}"]
    trained = f"ckpt_path={out / 'first' / 'checkpoints' / 'last.ckpt'}"
    mined = [f"negatives.mined.depth={depth}", *searched]
    mine = ["mine", *of, trained, "negatives=[mined]", *mined, "filter=[known_positives,relative_margin]"]
    opened = [sys.executable, __file__, str(data), str(out), "--open"]
    step = ["trainer.max_steps=1", "split.dev=null", "split.test=null", f"hydra.run.dir={out / 'first'}"]
    other = ["filter.relative_margin.margin=0.1", f"hydra.run.dir={out / 'mine-2'}"]
    evaluate = ["evaluate", *of, trained, "evaluate.bm25=null", f"hydra.run.dir={out / 'evaluate'}"]
    once = ["negatives=[in_batch,mined]", "trainer.max_epochs=1", "remine.every_n_epochs=null"]
    epoch = ["train", *of, *encoder, *QUIET, *once, *mined, f"hydra.run.dir={out / 'epoch'}"]
    rows = {
        "step": ("train: words, tokens, one step", ["train", *of, *encoder, *QUIET, *step]),
        "mine": (f"mine (depth {depth})", [*mine, f"hydra.run.dir={out / 'mine-1'}"]),
        "margin": ("mine with another margin", [*mine, *other]),
        "evaluate": ("evaluate on test", evaluate),
        "epoch": ("train: an epoch, one round, one evaluation on dev and test", epoch),
    }
    wrapped = {name: (title, [*hardneg, str(out / f"row-{name}.json"), *line]) for name, (title, line) in rows.items()}
    return {
        "read": ("read the data the first time", [*opened, "row-read.json"]),
        "open": ("open them again", [*opened, "row-open.json"]),
        **wrapped,
    }


def open_data(data: Path, cache: Path, result: Path) -> None:
    """Open the data set, and nothing else but what that imports; the seconds are those of opening alone."""
    from hardneg.data.open_set import open_set
    from hardneg.data.readers.beir import Beir

    imports = mib("VmRSS")
    with watched(result):
        opened = open_set(Beir(str(data)), cache)
    row = json.loads(result.read_text())
    result.write_text(json.dumps({**row, "imports_mb": imports, "documents": len(opened.corpus)}, indent=1) + "\n")


def run(words: list[str], result: Path, folder: Path) -> None:
    """Run a command, and add to its result how long the whole process took; what failed leaves no result."""
    env = {**os.environ, "HARDNEG_CACHE": str(folder / "cache"), "WANDB_MODE": "disabled"}
    started = time.perf_counter()
    ended = subprocess.run(words, env=env, cwd=folder, check=False).returncode
    whole = time.perf_counter() - started
    if ended:
        result.rename(result.with_suffix(".failed")) if result.exists() else None
        raise SystemExit(f"{' '.join(words)} ended with {ended}")
    result.write_text(json.dumps({**json.loads(result.read_text()), "process_seconds": whole}, indent=1) + "\n")


def found(rows: dict[str, tuple[str, list[str]]], out: Path) -> dict[str, dict]:
    """Read what is there of each row, by title."""
    files = {title: out / f"row-{name}.json" for name, (title, _) in rows.items()}
    return {title: json.loads(path.read_text()) for title, path in files.items() if path.exists()}


def table(rows: dict[str, dict]) -> str:
    """Write a table: each command, and under it the phases that took a second of processor time or more."""
    lines = ["| command | seconds | CPU seconds | peak MB | of it its own |", "| --- | --- | --- | --- | --- |"]
    for title, row in rows.items():
        lines.append(f"| **{title}** | {cells(row)} |")
        phases = {name: phase for name, phase in row["phases"].items() if phase["cpu"] >= 1}
        lines += [f"| {name} | {cells(phase)} |" for name, phase in phases.items()]
    return "\n".join(lines) + "\n"


def cells(row: dict) -> str:
    """Write seconds, with decimals where they are few, and MB."""
    whole = row["seconds"] if "imports_mb" in row else row.get("process_seconds", row["seconds"])
    times = [whole, row["cpu"] if "imports_mb" not in row else sum(phase["cpu"] for phase in row["phases"].values())]
    shown = [f"{value:.0f}" if value >= 10 else f"{value:.2f}" for value in times]
    return " | ".join([*shown, f"{row['peak_mb']:.0f}", f"{row['held_mb']:.0f}"])


if __name__ == "__main__":
    main()
