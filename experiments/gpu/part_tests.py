"""The tests of tests/device on the device itself: its numbers against the CPU's, and steps that never make it wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from part import begin

ROOT = Path(__file__).parents[2]
STATES = ("PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL")

part = begin("tests", __doc__)
missing = [name for name in ("pytest", "beartype") if find_spec(name) is None]
if missing:
    part.note(f"left out: pip install {' '.join(missing)}")
    sys.exit()
# Of the many combinations, on a CPU, some.
some = part.by_size([], ["-k", "evaluation or average"], ["-k", "evaluation"])
command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "tests/device", *some]
process = subprocess.Popen(
    command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "HARDNEG_TEST_DEVICE": part.device}
)
counts: Counter[str] = Counter()
assert process.stdout is not None
for line in process.stdout:  # each as it ends: a run that is cut off has told what it did
    print(line, end="", flush=True)
    words = line.split()
    state = next((word for word in words[1:2] if word in STATES), None)
    if state is None or "::" not in words[0]:
        continue
    counts[state] += 1
    part.rows = [{"state": key.lower(), "tests": counts[key]} for key in STATES if counts[key]]
    if state in ("FAILED", "ERROR"):
        part.notes.append(f"{state.lower()}: {words[0]}")
    part.write()
sys.exit(process.wait())
