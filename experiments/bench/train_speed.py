"""How fast does hardneg train, next to a bare loop and to sentence-transformers? See README.md beside this file."""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # float32 is float32 in every arm
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import sentence_transformers  # noqa: E402, F401  (imported for every arm, so that peak memories compare)
import torch  # noqa: E402
from greenlet import getcurrent, greenlet  # noqa: E402
from held_memory import mib  # noqa: E402
from train_speed_arms import ARMS, Clock, Job, Workload, quiet, wait  # noqa: E402

HERE = Path(__file__).parent

# (what, against what, the ratio of pairs per second that we aim for)
RATIOS = [
    ("hardneg fp32 one part", "bare fp32", 0.97),
    ("hardneg bf16 one part", "bare bf16", 0.97),
    ("hardneg fp32", "st fp32", 1.1),
    ("hardneg defaults", "st fp32", 1.8),
    ("hardneg defaults", "st bf16", 1.1),
    ("hardneg fp32", "hardneg fp32 one part", None),
    ("hardneg fp32 tokens=2048", "hardneg fp32 one part", None),
    ("hardneg fp32 tokens=1024", "hardneg fp32 one part", None),
    ("hardneg bf16 tokens=1024", "hardneg bf16 one part", None),
]


def main() -> None:
    """Measure memory arm by arm in processes of their own, then time the arms in turns, and write the tables."""
    args = arguments()
    quiet()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(json.dumps(memory(args)))
        return
    peaks = {} if args.no_memory else {name: in_own_process(name, args) for name in args.arms}
    args.arms = [name for name in args.arms if "error" not in peaks.get(name, {})]
    timed = time_in_turns(args)
    result = {"settings": settings(args), "memory": peaks, **timed, "ratios": ratios(timed["rounds"])}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "train_speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = markdown(result)
    (args.out / "train_speed.md").write_text(table, encoding="utf-8")
    print(table)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", default="pydocs", help="a folder in BEIR layout, or pydocs, which needs none")
    parser.add_argument("--rounds", type=int, default=30, help="how often every arm has its turn")
    parser.add_argument("--steps", type=int, default=2, help="steps in a turn; on a GPU take 20")
    parser.add_argument("--warmup", type=int, default=2, help="each arm's untimed first steps")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch, the same for all arms")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM", help="some of them")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for train_speed.md and train_speed.json")
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument("--memory-of", choices=list(ARMS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(args.rounds, args.steps, args.warmup) < 1:
        parser.error("--rounds, --steps and --warmup must be at least 1")
    return args


def in_own_process(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train one round in a fresh process; return its peak memory, or why the arm does not run here."""
    numbers = [f"--{key}={getattr(args, key)}" for key in ("data", "batch", "device", "threads")]
    command = [sys.executable, __file__, *numbers, f"--memory-of={name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not name.startswith("st "):
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    if done.returncode:  # a peer may refuse a precision or a device
        error = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{name}: left out, it does not run here: {error}", flush=True)
        return {"error": error}
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{name}: peak {found['peak_mib']} MiB", flush=True)
    return found


def memory(args: argparse.Namespace) -> dict[str, int]:
    """Train a few steps and return this process's peak memory, and what it held before training, in MiB."""
    work = Workload(args.data)
    job = Job(args.batch, warmup=1, turns=4, steps=1, device=args.device)
    before = int(mib("VmRSS"))
    ARMS[args.memory_of](work, job, Clock(job, lambda: None))
    found = {"peak_mib": int(mib("VmHWM")), "before_mib": before}
    if args.device == "cuda":
        found["cuda_peak_mib"] = torch.cuda.max_memory_allocated() >> 20
    return found


def time_in_turns(args: argparse.Namespace) -> dict[str, Any]:
    """Train all arms side by side, one at a time: turn after turn, each on the same batches, in changing order.

    Every arm runs in a greenlet of this one thread, its whole trainer inside, and hands over at the end of a step.
    """
    work = Workload(args.data)
    job = Job(args.batch, args.warmup, args.rounds, args.steps, args.device)
    here = getcurrent()
    running = {name: greenlet(lambda name=name: ARMS[name](work, job, Clock(job, here.switch))) for name in args.arms}
    for arm in running.values():
        arm.switch()  # load, warm up, hand over
    rounds = []
    for number in range(args.rounds):
        shift = number % len(running)
        order = (args.arms[shift:] + args.arms[:shift])[:: 1 if number % 2 == 0 else -1]
        found = {name: _turn(running[name], args.device) for name in order}
        rounds.append({name: found[name] for name in args.arms})
        speeds = ", ".join(f"{name} {args.batch * args.steps / found[name]['seconds']:.0f}" for name in args.arms)
        print(f"round {number + 1}/{args.rounds}, pairs/s: {speeds}", flush=True)
    return {"losses": {name: arm.switch() for name, arm in running.items()}, "rounds": rounds}


def _turn(arm: greenlet, device: str) -> dict[str, float]:
    gc.collect()
    wait(device)
    start, cpu = time.perf_counter(), time.process_time()
    arm.switch()
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}


def ratios(rounds: list[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Compare speeds round by round: the median, a 95% bootstrap interval of it, and the ratio of all rounds' sums.

    `cpu` is the median ratio of processor seconds: on a shared machine it says whether the neighbours made the result.
    """
    rng, out = np.random.default_rng(0), []
    for name, base, aim in RATIOS:
        if name not in rounds[0] or base not in rounds[0]:
            continue
        ours, theirs = (np.array([r[arm]["seconds"] for r in rounds]) for arm in (name, base))
        each = theirs / ours
        low, high = np.quantile(np.median(rng.choice(each, (10_000, len(each))), axis=1), [0.025, 0.975])
        cpu = np.median([r[base]["cpu_seconds"] / r[name]["cpu_seconds"] for r in rounds])
        row = {"median": np.median(each), "low": low, "high": high, "sums": theirs.sum() / ours.sum(), "cpu": cpu}
        out.append({"arm": name, "against": base, "aim": aim} | {key: round(float(v), 4) for key, v in row.items()})
    return out


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What was run, and on what."""
    packages = ("hardneg", "torch", "lightning", "transformers", "sentence-transformers")
    device = torch.cuda.get_device_name() if args.device == "cuda" else _processor()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "data": Path(args.data).name,
        **{key: getattr(args, key) for key in ("rounds", "steps", "warmup", "batch", "device")},
        "machine": device,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.processor())


def markdown(result: dict[str, Any]) -> str:
    """Write the two tables: the ratios, which are the result, and each arm's own numbers."""
    s = result["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in s["versions"].items())
    lines = [
        f"Written by `train_speed.py` on {s['date']}: {s['data']}, batch {s['batch']}, {s['rounds']} rounds of "
        f"{s['steps']} steps an arm,",
        f"after {s['warmup']} untimed ones; {s['machine']} ({s['device']}), {s['threads']} threads, "
        f"load {s['load']} at the end; Python {s['python']},",
        f"{versions}.",
        "",
        "Speed ratios, above 1 where the first is faster: median over the rounds, its 95% bootstrap interval,",
        "the ratio of all rounds' sums, and the median for processor seconds.",
        "",
        "| arm | against | median | 95% | sums | processor | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in result["ratios"]:
        aim = "" if r["aim"] is None else f">= {r['aim']}: {'met' if r['median'] >= r['aim'] else 'not met'}"
        numbers = f"**{r['median']:.3f}** | {r['low']:.3f} - {r['high']:.3f} | {r['sums']:.3f} | {r['cpu']:.3f}"
        lines.append(f"| {r['arm']} | {r['against']} | {numbers} | {aim} |")
    return "\n".join([*lines, "", *_arms_table(result)]) + "\n"


def _arms_table(result: dict[str, Any]) -> list[str]:
    s, peaks = result["settings"], result["memory"]
    lines = [
        "Each arm by itself, in its median round (comparable only within this table):",
        "",
        "| arm | pairs/s | ms/step | mean loss | peak memory, MiB | of it before training |",
        "|---|---|---|---|---|---|",
    ]
    for name, loss in result["losses"].items():
        seconds = float(np.median([r[name]["seconds"] for r in result["rounds"]]))
        found = peaks.get(name, {"peak_mib": "", "before_mib": ""})
        peak = f"{found['peak_mib']} (GPU {found['cuda_peak_mib']})" if "cuda_peak_mib" in found else found["peak_mib"]
        speed = f"{s['batch'] * s['steps'] / seconds:.0f} | {1000 * seconds / s['steps']:.0f}"
        lines.append(f"| {name} | {speed} | {loss:.4f} | {peak} | {found['before_mib']} |")
    failed = [
        f"| {name} | does not run here: {peak['error']} | | | | |" for name, peak in peaks.items() if "error" in peak
    ]
    return lines + failed


if __name__ == "__main__":
    main()
