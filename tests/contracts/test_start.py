"""Help and slips are answered at once: before what takes seconds to import is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hardneg.cli import COMMANDS

HEAVY = ("torch", "lightning", "transformers", "datasets", "wandb")
# The exit code, and of the slow packages those that were imported.
CODE = f"""
import atexit, sys
atexit.register(lambda: print("HEAVY", sorted({set(HEAVY)!r} & set(sys.modules)), flush=True))
from hardneg.cli import main
main()
"""


def answered(tmp_path, *words):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", (done.stdout, done.stderr)
    return done


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_slow(tmp_path, words):
    assert answered(tmp_path, *words).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "there is no command 'trian'; did you mean hardneg train?"),
        (["train", "strategey=bm25"], "there is no key strategey; did you mean strategy?"),
        (["train", "+strategey=bm25"], "strategey is not a key of hardneg train; did you mean strategy?"),
        (["train", "data=tooy"], "Could not find 'data/tooy'; did you mean toy?"),
        (["train", "negatives=[in_batch,bm52]"], "Could not find 'negatives/bm52'; did you mean bm25?"),
        (
            ["train", "negatives.bm25.k=4"],
            "there is no key negatives.bm25: bm25 is not chosen; choose it",
        ),
        (["train", "bm25"], "bm25: a command takes words like KEY=VALUE"),
        (["train", "negatives=[]"], "choose one, as in negatives=in_batch"),
        (["train", "data=beir"], "no value for data.path"),
        (["train", "data=beir", "data.path=nowhere"], "data.path=nowhere: there is no such"),
        (["train", "+extra=1"], "extra is not a key of hardneg train"),
        (["train", "trainer.max_epochs=many"], "trainer.max_epochs='many' must be a whole number"),
        (["train", "evaluate.metrics=[ndgc@10]"], "ndgc@10"),
        (["train", "evaluate.depth=5"], "evaluate.depth=5 is too shallow"),
        (["train", "loss.infonce._target_=os.system"], "is not allowed"),
        (["train", "loss.infonce._target_=mypkg.Loss"], "allow its package: HARDNEG_TARGETS=mypkg."),
        (["train", "-m", "data=toy", "negatives=[]", "seed=1,2"], "no job was started"),
        (["train", "-m", "data=toy", "strategy=bm52,in_batch"], "'strategy/bm52'; did you mean bm25?"),
        (["evaluate", "data=toy"], "no value for ckpt_path"),
        (["evaluate", "data=toy", "ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt: there is no such file"),
        (["compare", "nowhere"], "nowhere"),
        (["search", "nowhere", "q", "-k", "101"], "-k 101: must be from 1 to 100; --max-k allows more"),
        (["inspect", "nowhere"], "data.path=nowhere: there is no such file"),
        (["inspect", "data=toy", "seed=1"], "seed=1: inspect takes a path"),
        (["jobs", "nowhere"], "nowhere: no such folder"),
        (["resume", "nowhere"], "nowhere is no run folder"),
        (["ab", "nowhere", "here"], "no such run folder, run file or checkpoint"),
        (["export", "nowhere", "out"], "no checkpoint and no run folder"),
    ],
)
def test_a_slip_is_told_before_anything_slow_is_imported(tmp_path, words, says):
    done = answered(tmp_path, *words)
    assert done.returncode == 2 and says in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hardneg tra", "train train-teacher"),
        ("hardneg train strategy=bm", "strategy=bm25 strategy=bm25_random"),
        ("hardneg mine data=to", "data=toy"),
        ("hardneg compare mul", "HEAVY []"),  # files are the shell's
    ],
)
def test_a_shell_completes_commands_and_words(tmp_path, monkeypatch, line, says):
    monkeypatch.setenv("COMP_LINE", line)
    assert answered(tmp_path, "-sc", "query=bash").stdout.splitlines()[0] == says


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m hardneg.cli train --cfg job | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
