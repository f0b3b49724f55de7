"""What is known of the data behind a checkpoint, a run folder or a run file."""

from __future__ import annotations

import json

import pytest

from hardneg.data.test_only import Own
from hardneg.runs.tested_data import behind, open_again, trained_on

TABLE = {"_target_": "hardneg.data.readers.table.Table"}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "faq.csv"
    path.write_text("query,positive\n" + "".join(f"what is {i},it is {i}\n" for i in range(60)))
    return path


def folder(path, config, words=()):
    """A run folder that has its config and its words."""
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "config.yaml").write_text(json.dumps(config))
    (path / ".hydra" / "overrides.yaml").write_text(json.dumps(list(words)))
    return path


def training(path, table):
    node = {"data": {**TABLE, "path": str(table)}, "split": {"train": "train", "dev": "dev", "test": "test"}}
    made = folder(path, node)
    (made / "checkpoints").mkdir()
    (made / "checkpoints" / "best.ckpt").touch()
    return made


def evaluation(path, table, ckpt_path, words=()):
    node = {"data": {**TABLE, "path": str(table)}, "split": "test", "ckpt_path": str(ckpt_path)}
    return folder(path, {**node, "cache": str(path / "cache")}, words)


def test_an_evaluation_is_opened_again_with_all_that_it_tested(table, tmp_path):
    (tmp_path / "imported.ckpt").touch()
    made = evaluation(tmp_path / "e", table, tmp_path / "imported.ckpt")
    assert len(open_again(made).split("test").query_rows) == 60
    said = evaluation(tmp_path / "said", table, tmp_path / "imported.ckpt", ["data.test_share=0.1"])
    assert len(open_again(said).split("test").query_rows) < 60


@pytest.mark.parametrize("named", ["checkpoints/best.ckpt", ""])
def test_what_the_checkpoint_was_trained_on_keeps_its_splits(table, tmp_path, named):
    run = training(tmp_path / "run", table)
    made = evaluation(tmp_path / "e", table, run / named)
    assert len(open_again(made).split("test").query_rows) < 60
    assert behind([made]) == behind([run]) == trained_on(run / "checkpoints" / "best.ckpt")


def test_of_two_sides_what_either_was_trained_on_counts_and_of_bare_run_files_nothing_is_known(table, tmp_path):
    run = training(tmp_path / "run", table)
    for path in (tmp_path / "bare.run", run / "test.run", tmp_path / "imported.ckpt"):
        path.touch()
    assert behind([tmp_path / "bare.run"]) is None
    assert behind([tmp_path / "imported.ckpt", tmp_path / "bare.run"]) == Own()
    assert behind([tmp_path / "imported.ckpt", run / "test.run"]).places.keys() == {(table.resolve(), None, "train")}
