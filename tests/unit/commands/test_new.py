"""hardneg new: what it writes is whole, lint-clean and holds the contracts; names that cannot be are refused."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
import torch
from installed import install, on_the_path

from hardneg import testing
from hardneg.cli import run
from hardneg.commands import new
from hardneg.errors import UserError


def test_it_writes_a_package_and_says_what_is_next(tmp_path, capsys):
    run("new", str(tmp_path / "my_study"))
    said = capsys.readouterr().out
    assert "src/my_study/conf/negatives/my_source.yaml" in said and "make setup" in said
    written = {path.relative_to(tmp_path / "my_study").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"Makefile", "README.md", ".gitignore", "pyproject.toml", "tests/test_contracts.py"} <= written
    assert [path.name for path in tmp_path.iterdir()] == ["my_study"]  # no draft is left


@pytest.mark.parametrize("name", ["clicks", "a_b_study", "long_tail_of_queries"])
def test_what_it_writes_is_clean_whatever_it_is_called(tmp_path, name):
    pytest.importorskip("ruff")  # of the extra `dev`, not of `test`
    new.write(tmp_path / name)
    for words in (
        ["check", "--select", "E,F,I,B,UP,SIM,RUF,ANN001,D100,D101,D102,D103"],
        ["format", "--check"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", str(tmp_path / name)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not {"{{", "STUDY", "STEM"} & set(path.read_text().split()), path


def test_its_parts_hold_the_contracts_and_its_experiment_is_found(tmp_path):
    new.write(tmp_path / "nine_lives")
    site = tmp_path / "nine_lives" / "src"
    with on_the_path(site):
        install(site, "nine_lives")
        conf = testing.Conf("nine_lives")
        kept = testing.promises(conf)
        assert {promise.name for promise in kept} == {"nine_lives_source", "nine_lives_loss", "nine_lives_filter"}
        for promise in kept:
            promise.hold()
        cfg = conf.compose("experiment=nine_lives")
        assert list(cfg.negatives) == ["in_batch", "nine_lives_source"] and cfg.loss.nine_lives_loss.weight == 0.5
        with pytest.raises(UserError, match="installed here already"):
            new.write(tmp_path / "other" / "nine_lives")
        with pytest.raises(UserError, match="would have filter=nine_lives_filter, which nine_lives has already"):
            new.write(tmp_path / "nine_lives_study")


def test_its_filter_counts_no_outer_blanks_as_words(tmp_path):
    new.write(tmp_path / "short_texts")
    with on_the_path(tmp_path / "short_texts" / "src"):
        made = importlib.import_module("short_texts.filter").ShortTextsFilter(min_words=3)
    texts = pa.array([" stub ", "one two\n", "one two three", "  one two three four"], pa.large_string())
    made.prepare(SimpleNamespace(data=SimpleNamespace(corpus=SimpleNamespace(texts=texts))))
    assert made._long_enough.on(torch.device("cpu")).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Study", "did you mean my_study?"),
        ("2nd", "did you mean nd?"),
        ("class", "cannot be a package's name"),
        ("json", "installed here already"),
        ("torch", "installed here already"),
        ("hardneg", "installed here already"),
        ("quickstart", "would have experiment=quickstart, which hardneg has already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path, name, says):
    with pytest.raises(UserError, match=says.replace("?", r"\?")):
        new.write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="already exists"):
        new.write(tmp_path / "mine")
    with pytest.raises(UserError, match="no such folder"):
        new.write(tmp_path / "nowhere" / "mine")
    assert not list((tmp_path / "mine").iterdir())


def test_every_template_goes_along_with_the_package():
    listed = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '"study_template/**/*.jinja"' in listed
    assert all(path.suffix == ".jinja" for path in Path(new.__file__).parents[1].glob("study_template/**/*.*"))
