"""The script for an accelerator runs to its end on a CPU, in the smallest sizes: it is whole when a GPU comes."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from hardneg.encoders.pretrained import locate

HERE = Path(__file__).parents[2] / "experiments" / "gpu"
LOGGERS = ("lightning.pytorch", "lightning.fabric", "transformers")
ROWS = {
    "training": [
        *["sentence-transformers", "bare loop", "hardneg"],
        *["hardneg, unpadded", "hardneg, unpadded, no dropout"],
    ],
    "queue": ["in_batch", "queue of 64"],
    "compile": ["as it is", "compiled"],
    "grad_cache": ["sentence-transformers", "hardneg"],
    "search": ["encode", "exact", "exact, read from disk", "faiss_flat"],
}


@pytest.fixture
def quiet_again(monkeypatch, tmp_path):
    """The parts in this process, which leaves no trace."""
    if not Path(locate("minilm")).is_dir():
        pytest.skip("needs hardneg[minilm]")
    monkeypatch.setenv("HARDNEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(HERE))
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(HERE.parent) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.slow
@pytest.mark.parametrize("part", ROWS)
def test_every_part_writes_its_tables(part, quiet_again, tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("faiss")
    options = ["--size", "tiny", "--device", "cpu", "--out", str(tmp_path), "--work", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["part", *options])
    runpy.run_path(str(HERE / f"part_{part}.py"), run_name="__main__")
    found = json.loads((tmp_path / f"{part}.json").read_text())
    assert [row.get("arm") or row["what"] for row in found["rows"]] == ROWS[part], found["notes"]
    assert all(row["MiB"] > 0 for row in found["rows"])
    if part == "training":
        assert len({round(row["loss"], 0) for row in found["rows"]}) == 1, "the arms do the same work"
    if part == "search":
        assert all(row["same top 100"] > 0.99 for row in found["rows"][1:])
    table = (tmp_path / f"{part}.md").read_text()
    assert found["versions"]["torch"] in table and found["device"] in table


@pytest.mark.slow
def test_a_part_that_fails_or_is_too_slow_does_not_stop_the_next(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    run = __import__("run")
    parts = {
        "slow": "print('begun', flush=True)\nimport time; time.sleep(60)",
        "broken": "raise ValueError",
        "good": "",
    }
    for name, code in parts.items():
        (tmp_path / f"part_{name}.py").write_text(code)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "PARTS", {"slow": 5, "broken": 30, "good": 30})
    monkeypatch.setattr(run, "SLOWER", 1)
    monkeypatch.setattr(
        sys, "argv", ["run.py", "--smoke", "--device", "cpu", "--out", str(tmp_path), "--parts", *parts]
    )
    with pytest.raises(SystemExit) as end:
        run.main()
    del sys.modules["run"]
    assert end.value.code == 1
    states = [line.split("|")[2].strip() for line in (tmp_path / "summary.md").read_text().splitlines()[2:]]
    assert states == ["out of time", "failed, see broken.log", "done"]
    assert (tmp_path / "slow.log").read_text() == "begun\n"


@pytest.mark.slow
def test_the_script_runs_the_device_tests(tmp_path):
    command = [str(HERE / "run.sh"), "--size", "tiny", "--device", "cpu", "--out", str(tmp_path), "--parts", "tests"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + (tmp_path / "tests.log").read_text()
    assert json.loads((tmp_path / "tests.json").read_text())["rows"] == [{"state": "passed", "tests": 1}]
