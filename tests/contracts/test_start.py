"""Help and slips are answered at once: before what takes seconds to import is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hardneg.cli import COMMANDS

HEAVY = ("torch", "lightning", "transformers", "datasets", "wandb", "scipy", "pandas", "matplotlib", "faiss")
# Forks for each command, when it has imported what all of them may and composed a config: to start Python and Hydra
# takes half a second, to read all yamls for the first time a quarter. A command's output ends with those of the slow
# packages that were imported.
SERVER = f"""
import json, os, sys, traceback
import hardneg.cli, hardneg.sweep.hydra_app
from hardneg.config import composition

with composition.composing():
    composition.compose("train", [])

for line in sys.stdin:
    order = json.loads(line)
    number = os.fork()
    if number:
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)
        continue
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv[1:], code = order["words"], 1
    try:
        hardneg.cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    print("HEAVY", sorted({set(HEAVY)!r} & set(sys.modules)), flush=True)
    sys.stderr.flush()
    os._exit(code)
"""


@pytest.fixture(scope="module")
def server():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True, bufsize=1) as server:
        yield server
        server.stdin.close()


@pytest.fixture
def answered(server, tmp_path):
    def answered(*words):
        server.stdin.write(
            json.dumps({"folder": str(tmp_path), "environment": dict(os.environ), "words": words}) + "\n"
        )
        code = int(server.stdout.readline())
        out, err = ((tmp_path / name).read_text() for name in ("out", "err"))
        assert out.splitlines()[-1] == "HEAVY []", (out, err)
        return code, out, err

    return answered


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_slow(answered, words):
    assert answered(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "there is no command 'trian'; did you mean hardneg train? `hardneg --help` lists the commands\n"),
        (["xyzzy"], "there is no command 'xyzzy'; `hardneg --help` lists the commands\n"),
        (["train", "strategey=bm25"], "there is no key strategey; did you mean strategy?"),
        (["train", "+strategey=bm25"], "strategey is not a key of hardneg train; did you mean strategy?"),
        (["train", "data=tooy"], "Could not find 'data/tooy'; did you mean toy?"),
        (["train", "negatives=[in_batch,bm52]"], "Could not find 'negatives/bm52'; did you mean bm25?"),
        (
            ["train", "negatives.bm25.k=4"],
            "there is no key negatives.bm25: bm25 is not chosen; choose it",
        ),
        (["train", "bm25"], "bm25: arguments have the form KEY=VALUE"),
        (["train", "negatives=[]"], "choose one, as in negatives=in_batch"),
        (["train", "data=beir"], "no value for data.path"),
        (["train", "data=beir", "data.path=nowhere"], "data.path=nowhere: there is no such"),
        (["train", "+extra=1"], "extra is not a key of hardneg train"),
        (["train", "trainer.max_epochs=many"], "hardneg train: trainer.max_epochs='many' must be a whole number"),
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
        (["search", "nowhere", "q"], "nowhere has no live index"),
        (["serve", "nowhere"], "nowhere has no live index"),
        (["check", "nowhere"], "path=nowhere: there is no such folder; give the folder of an index"),
        (["check", "."], "has no live index; hardneg index ... index.path="),
        (["mine", "data=toy", "from_index=."], "from_index=. holds no complete index"),
        (["import", ".", "out.ckpt"], "is not a sentence-transformers folder (it has no modules.json)"),
        (["ab", ".", "."], "holds no *.run file; a finished run has test.run"),
        (["renew", "nowhere"], "nowhere has no live index"),
        (["import", "nowhere", "out.ckpt"], "nowhere: no such folder"),
        (["inspect", "nowhere"], "data.path=nowhere: there is no such file"),
        (
            ["race", "budget=1m", "hydra.run.dir=here"],
            "hydra.run.dir=here: a race is a sweep, and its folder is hydra.sweep.dir=",
        ),
        (["inspect", "data=toy", "seed=1"], "seed=1: inspect takes a path"),
        (["jobs", "nowhere"], "nowhere: no such folder"),
        (["index", "list", "nowhere"], "nowhere holds no complete index"),
        (["resume", "nowhere"], "nowhere is not a run folder"),
        (["ab", "nowhere", "here"], "no such run folder, run file or checkpoint"),
        (["ab", ".", ".", "--qrels", "nowhere"], "--qrels nowhere: no such file"),
        (["ab", ".", ".", "--slice", "language=nowhere"], "--slice language=nowhere: no such file"),
        (["export", "nowhere", "out"], "neither a checkpoint nor a run folder"),
    ],
)
def test_a_slip_is_told_before_anything_slow_is_imported(answered, words, says):
    code, out, err = answered(*words)
    assert code == 2 and says in out + err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hardneg tra", "train train-teacher"),
        ("hardneg train strategy=bm", "strategy=bm25 strategy=bm25_random"),
        ("hardneg mine data=to", "data=toy"),
        ("hardneg race budget=30m strategy=bm", "strategy=bm25 strategy=bm25_random"),
        ("hardneg compare mul", "HEAVY []"),  # files are the shell's
    ],
)
def test_a_shell_completes_commands_and_words(answered, monkeypatch, line, says):
    monkeypatch.setenv("COMP_LINE", line)
    assert answered("-sc", "query=bash")[1].splitlines()[0] == says


def test_bash_completes_hardneg_alone_and_other_shells_are_refused(answered):
    code, out, _ = answered("-sc", "install=bash")
    assert code == 0 and out.splitlines()[-2].endswith(" -F hydra_bash_completion hardneg")
    for words in (["-sc", "install=fish"], ["-sc"], ["-sc", "query=zsh"]):
        code, out, err = answered(*words)
        assert code == 2 and f"hardneg {' '.join(words)}: only bash completes" in err


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m hardneg.cli train --cfg job | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
