"""What a large corpus costs, command by command: wall clock, processor time and peak memory of whole processes.

usage: corpus_scale.py DATA_FOLDER OUT_FOLDER [--depth 200] [--search exact] [--epoch]

DATA_FOLDER is in BEIR layout, with train, dev and test; OUT_FOLDER gets runs and a cache of its own, so that nothing
was there before. Each row is a command as a user types it, in a fresh process. `--epoch` ends with a whole epoch that
mines once and evaluates once. Prints a Markdown table, and writes it to OUT_FOLDER/table.md row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

QUIET = ["evaluate.before=false", "evaluate.bm25=null", "alarms.bm25_queries=null", "logger=csv"]
OPEN = """
import json, resource, sys, time
from pathlib import Path
from hardneg.data.open_set import open_set
from hardneg.data.readers.beir import Beir
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
data = open_set(Beir(sys.argv[1]), Path(sys.argv[2]))
seconds = time.perf_counter() - started
print(json.dumps({"open": seconds, "documents": len(data.corpus), "imports_mb": before // 1024}))
"""


def measured(words: list[str], cache: Path, folder: Path) -> dict:
    """Run a command; return its seconds, processor seconds, peak memory in MB, and its last line if that is JSON."""
    env = {**os.environ, "HARDNEG_CACHE": str(cache), "WANDB_MODE": "disabled"}
    started = time.perf_counter()
    process = subprocess.Popen(words, env=env, cwd=folder, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    last = out.strip().splitlines()[-1] if out.strip() else ""
    said = json.loads(last) if last.startswith("{") else {}
    return {"seconds": time.perf_counter() - started, "used": used, **said}


def main() -> None:
    """Run the rows one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--depth", type=int, default=200)
    parser.add_argument("--search", default="exact")
    parser.add_argument("--epoch", action="store_true")
    parser.add_argument("--only", help="run this row alone, in this process: what the others are started by")
    options = parser.parse_args()
    if options.only:
        row = measured(json.loads(options.only), options.out / "cache", options.out)
        used = row.pop("used")
        print(json.dumps({**row, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss // 1024}))
        return
    data, out = options.data.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    hardneg = [sys.executable, "-m", "hardneg.cli"]
    of = ["data=beir", f"data.path={data}"]
    run = out / "first"
    mined = ["negatives=[mined]", f"negatives.mined.depth={options.depth}", f"search={options.search}"]
    mine = [*hardneg, "mine", *of, f"ckpt_path={run / 'checkpoints' / 'last.ckpt'}", *mined]
    mine += ["filter=[known_positives,relative_margin]"]
    static = ["encoder=static", "batch_size=256"]
    rows = {
        "read the data the first time": [sys.executable, "-c", OPEN, str(data), str(out / "cache")],
        "open them again": [sys.executable, "-c", OPEN, str(data), str(out / "cache")],
        "train: words, tokens, one step": [
            *(*hardneg, "train", *of, *static, *QUIET, "trainer.max_steps=1", "split.dev=null", "split.test=null"),
            f"hydra.run.dir={run}",
        ],
        f"mine (depth {options.depth})": [*mine, f"hydra.run.dir={out / 'mine-1'}"],
        "mine with another margin": [*mine, "filter.relative_margin.margin=0.1", f"hydra.run.dir={out / 'mine-2'}"],
        "evaluate on test": [
            *(*hardneg, "evaluate", *of, f"ckpt_path={run / 'checkpoints' / 'last.ckpt'}", "evaluate.bm25=null"),
            f"hydra.run.dir={out / 'evaluate'}",
        ],
    }
    if options.epoch:
        epoch = [*hardneg, "train", *of, *static, *QUIET, "negatives=[in_batch,mined]", *mined[1:]]
        rows["an epoch, one round, one evaluation"] = [*epoch, "trainer.max_epochs=1", f"hydra.run.dir={out / 'epoch'}"]
    lines = ["| command | seconds | processor seconds | peak memory, MB |", "| --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for name, words in rows.items():
        again = [sys.executable, __file__, str(data), str(out), "--only", json.dumps(words)]
        done = subprocess.run(again, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.strip().splitlines()[-1])
        seconds = f"{row['open']:.2f} (beside imports)" if "open" in row else f"{row['seconds']:.0f}"
        memory = f"{row['peak_mb']} (imports {row['imports_mb']})" if "open" in row else f"{row['peak_mb']}"
        lines.append(f"| {name} | {seconds} | {row['cpu']:.0f} | {memory} |")
        print(lines[-1], flush=True)
        (out / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
