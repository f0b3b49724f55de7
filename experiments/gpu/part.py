"""What all parts share: their command line, tables that are written row by row, times, peaks and memory."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))  # whose arms are measured here too
from held_memory import mib  # noqa: E402

PACKAGES = ("hardneg", "torch", "lightning", "transformers", "sentence-transformers", "faiss-gpu-cu12", "faiss-cpu")


@dataclass
class Part:
    """A part that runs: how large, where, and its table so far."""

    name: str
    title: str
    size: str
    device: str
    out: Path
    work: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def by_size(self, full: Any, smoke: Any, tiny: Any) -> Any:
        """Choose by --size."""
        return {"full": full, "smoke": smoke, "tiny": tiny}[self.size]

    def add(self, **row: Any) -> None:
        """Add a row to the table, and write it."""
        self.rows.append({key: rounded(value) for key, value in row.items()})
        print(self.rows[-1], flush=True)
        self.write()

    def note(self, line: str) -> None:
        """Add a line below the table, and write it."""
        self.notes.append(line)
        print(line, flush=True)
        self.write()

    def write(self) -> None:
        """Write NAME.json and NAME.md."""
        found = {"part": self.name, "size": self.size, **environment(self.device)}
        found |= {"rows": self.rows, "notes": self.notes}
        (self.out / f"{self.name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items() if number)
        lines = [f"{self.title}", "", f"{found['device']}, {self.size} sizes; driver {found['driver']}, CUDA"]
        lines[-1] += f" {found['cuda']}; Python {found['python']}, {versions}."
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        if columns:
            lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
            lines += ["| " + " | ".join(str(row.get(key, "")) for key in columns) + " |" for row in self.rows]
        lines += [""] + [f"- {note}" for note in self.notes]
        (self.out / f"{self.name}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def begin(name: str, title: str) -> Part:
    """Read the command line that run.py gives a part."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--size", choices=["full", "smoke", "tiny"], required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    part = Part(name, title, args.size, args.device, args.out, args.work)
    part.write()
    return part


@cache
def environment(device: str) -> dict[str, Any]:
    """The machine and what is installed."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU ({platform.processor() or platform.machine()})"
    driver = "none"
    if device == "cuda":
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            driver = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.split("\n")[0].strip()
        except (OSError, subprocess.TimeoutExpired):
            driver = "not told"
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "device": name, "driver": driver, "cuda": torch.version.cuda, "python": platform.python_version(),
        "threads": torch.get_num_threads(), "versions": versions,
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Round a number to four figures."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(do: Callable[[], Any], device: str) -> float:
    """Time one call, until the device is done."""
    wait(device)
    started = time.perf_counter()
    do()
    wait(device)
    return time.perf_counter() - started


def peak_flops(device: str, dtype: torch.dtype) -> float:
    """Measure the speed of a large square matrix product, in multiplications and additions a second: the best of 5."""
    n = 8192 if device == "cuda" else 512
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    return max(2 * n**3 * 5 / seconds(lambda: [torch.mm(a, b) for _ in range(5)], device) for _ in range(5))


def forget_peak(device: str) -> float:
    """Begin to watch memory anew; return what is held now, in MiB."""
    if device != "cuda":
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated() / 2**20


def peak_memory(device: str) -> float:
    """Return the peak in MiB: of torch's allocator since `forget_peak`, or on a CPU of the whole process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return mib("VmHWM")
