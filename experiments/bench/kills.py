"""Kill a run that mines at random moments, resume it each time, and compare its end with that of an uninterrupted one.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

HERE = Path(__file__).parent
TRAIN = ["data=toy", "data.queries=3000", "data.docs=6000", "encoder.dim=64", "batch_size=32", "logger=csv"]
TRAIN += ["strategy=mined_random", "trainer.max_epochs=3", "checkpoint.every_n_steps=10", "evaluate.before=false"]
TRAIN += ["optimizer.lr=0.01", "remine.every_n_steps=25", "trainer.enable_progress_bar=false"]


MINE = ["data=toy", "data.queries=40000", "data.docs=40000", "data.names=110", "encoder.dim=128", "negatives=mined"]
COMMANDS = {"train": TRAIN, "mine": MINE}


def main() -> None:
    """Run, kill and resume; print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for kills.md")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    lines = ["| run | killed while | result | left in work/ |", "|---|---|---|---|"]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            for name, moments, same, orphans in cut_short(Path(folder), command, args.kills, chance):
                good &= same and not orphans
                verdict = "the same bits" if same else "DIFFERENT"
                lines.append(f"| {name} | {'; '.join(moments) or '-'} | {verdict} | {orphans} |")
                print(lines[-1], flush=True)
    head = [f"Written by `kills.py`: {args.kills} times kill -9 of each command, started again each time.", ""]
    head += [f"    hardneg {command} {' '.join(words)}" for command, words in COMMANDS.items()]
    (args.out / "kills.md").write_text("\n".join([*head, "", *lines, ""]), encoding="utf-8")
    sys.exit(not good)


def cut_short(
    home: Path, command: str, kills: int, chance: random.Random
) -> Iterator[tuple[str, list[str], bool, int]]:
    """Yield runs that were killed once or twice: name, moments, whether they end like a whole one, orphans left."""
    started = time.monotonic()
    run(home, command, f"{command}-whole", None)
    length = time.monotonic() - started
    expected = END[command](home, f"{command}-whole")
    number = done = 0
    while done < kills:
        number += 1
        name, moments, alive = f"{command}-{number}", [], True
        while alive:
            # Not while Python starts, and a run that is started again has less to do.
            wait = chance.uniform(0.25, 0.98 if not moments else 0.6) * length
            alive = run(home, command, name, wait if done < kills and len(moments) < 2 else None)
            if alive and not (home / name / "summary.json").exists():
                moments.append(where(home, name))
                done += 1
        orphans = len(list((home / f"{name}-cache" / "work").glob("*")))
        yield name, moments, END[command](home, name) == expected, orphans


def run(home: Path, command: str, name: str, seconds: float | None) -> bool:
    """Start or resume the run and kill it after so many seconds; say whether it was killed."""
    words = [command, *COMMANDS[command], f"cache={home}/{name}-cache", f"hydra.run.dir={home}/{name}"]
    if (home / name / "summary.json").exists():
        return False  # the kill came while it was leaving
    if command == "train" and (home / name / ".hydra" / "overrides.yaml").exists():
        words = ["resume", f"{home}/{name}"]
    with (home / f"{name}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hardneg.cli", *words], stdout=log, stderr=log, cwd=home, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
    if code:
        sys.exit(f"{name} failed:\n" + (home / f"{name}.log").read_text()[-3000:])
    return False


def where(home: Path, name: str) -> str:
    """Say what the run was at, by the files there are."""
    if list((home / f"{name}-cache" / "stores").glob("*.tmp-*/*.npy")):
        return "writing a store"
    if work := list((home / f"{name}-cache" / "work").glob("*/*")):
        return "ranking" if any("hits" in path.name for path in work) else "embedding"
    checkpoint = home / name / "checkpoints" / "last.ckpt"
    return f"training past step {torch.load(checkpoint)['global_step']}" if checkpoint.exists() else "preparing"


def end_of_training(home: Path, name: str) -> str:
    """Hash the final weights, optimiser, and the bytes of the stores that the run drew from."""
    state = torch.load(home / name / "checkpoints" / "last.ckpt", weights_only=True)
    remine = next(value for key, value in state["callbacks"].items() if "Remine" in key)
    stores = [home / f"{name}-cache" / "stores" / store for store in remine["stores"]["mined"]]
    kept = [plain(state[key]) for key in ("state_dict", "optimizer_states")]
    return json.dumps([kept, [bytes_of(store) for store in stores]], default=str)


def end_of_mining(home: Path, name: str) -> str:
    """Hash the bytes of the only store."""
    (card,) = (home / f"{name}-cache" / "stores").glob("*/card.json")
    return json.dumps([card.parent.name, bytes_of(card.parent)])


def bytes_of(store: Path) -> list[str]:
    """Hash a store's arrays."""
    files = [store / f"{file}.npy" for file in ("ids", "scores", "reasons", "positive")]
    return [hashlib.blake2b(file.read_bytes()).hexdigest() for file in files]


END = {"train": end_of_training, "mine": end_of_mining}


def plain(value: object) -> object:
    """Turn tensors into hashes of their bytes."""
    if isinstance(value, torch.Tensor):
        return hashlib.blake2b(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
