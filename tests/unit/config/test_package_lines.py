"""Yamls of a user's own config folder that Hydra would read otherwise than they look, or not at all."""

from __future__ import annotations

import pytest

from hardneg.cli import run
from hardneg.errors import UserError


@pytest.mark.parametrize(
    ("group", "written", "said"),
    [
        ("strategy", b"seed: 3\n", r"below strategy, where nothing.*line '# @package _global_'$"),
        (
            "experiment",
            b"\xef\xbb\xbf# @package _global_\nseed: 3\n",
            r"byte order mark, which hides .*_global_'; save",
        ),
        ("negatives", b"_target_: hardneg.negatives.random.Random\nk: 2\n", r"line '# @package negatives\.mine'$"),
        ("race", b"a: [strategy=bm25]\n", r"line '# @package hydra\.sweeper\.arms'$"),
        ("experiment", b"\xff\xfes\x00", r"mine\.yaml: byte 1 is no UTF-8; save it as UTF-8$"),
        ("experiment", b"a: [1\nb: 2\n", r"mine\.yaml, line 2: this is no YAML: expected ',' or '\]'"),
    ],
)
def test_what_nothing_would_read_is_told_with_its_file_and_the_line_that_it_needs(
    group, written, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / group).mkdir(parents=True)
    path = tmp_path / "conf" / group / "mine.yaml"
    path.write_bytes(written)
    word = f"{group}=[in_batch,mine]" if group == "negatives" else f"{group}=mine"
    with pytest.raises(UserError, match=said) as refused:
        run("train", "--config-dir", str(tmp_path / "conf"), "data=toy", word, "hydra.run.dir=run")
    assert str(path) in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("hidden", [b"", b"\xef\xbb\xbf# @package _global_\n"])
def test_an_override_in_a_file_whose_line_is_missing_or_hidden_is_told_as_that(hidden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "strategy").mkdir(parents=True)
    path = tmp_path / "conf" / "strategy" / "mine.yaml"
    path.write_bytes(hidden + b"defaults:\n  - override /negatives: [in_batch, random]\n")
    said = r"strategy.mine.* nothing reads them; begin the file with the line '# @package _global_'|byte order mark"
    with pytest.raises(UserError, match=said):
        run("train", "--config-dir", str(tmp_path / "conf"), "data=toy", "strategy=mine", "hydra.run.dir=run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("group", "written", "package", "words", "shown"),
    [
        ("strategy", "seed: 3\n", "_global_", ["--cfg", "job"], "seed: 3\n"),
        ("strategy", "seed: 3\n", "_global_", ["--cfg=all"], "hydra:\n"),
        ("negatives", "_target_: hardneg.negatives.random.Random\nk: 2\n", "negatives.mine", ["-c", "job"], "  k: 2\n"),
        ("race", "a: [strategy=bm25]\n", "hydra.sweeper.arms", ["hydra/sweeper=race", "--cfg", "hydra"], "a:\n"),
    ],
)
def test_a_config_that_is_only_shown_is_told_as_one_that_is_run(
    group, written, package, words, shown, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / group).mkdir(parents=True)
    path = tmp_path / "conf" / group / "mine.yaml"
    path.write_text(written)
    words = ["--config-dir", str(tmp_path / "conf"), f"{group}=mine", *words]
    with pytest.raises(UserError, match=rf"line '# @package {package}'$") as refused:
        run("train", *words)
    assert str(path) in str(refused.value) and shown not in capsys.readouterr().out
    path.write_text(f"# @package {package}\n{written}")
    run("train", *words)
    assert shown in capsys.readouterr().out


def test_a_mark_before_a_file_that_needs_no_line_is_no_harm(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "schedule").mkdir(parents=True)
    (tmp_path / "conf" / "schedule" / "mine.yaml").write_bytes(b"\xef\xbb\xbf# mine\n_target_: nowhere.At.all\n")
    with pytest.raises(UserError, match="nowhere"):
        run("train", "--config-dir", str(tmp_path / "conf"), "data=toy", "schedule=mine", "hydra.run.dir=run")
