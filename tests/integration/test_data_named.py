"""A command with a checkpoint and no word about data: what the checkpoint was trained on is not passed over."""

from __future__ import annotations

import pytest


@pytest.fixture
def of_pairs(hardneg, tmp_path):
    """A run of pairs in a file, started elsewhere: its config, its words and something in place of a checkpoint."""
    lines = [f'{{"query": "what is {n}", "positive": "it is {n}"}}\n' for n in range(30)]
    (tmp_path / "pairs.jsonl").write_text("".join(lines))
    words = ["data.path=pairs.jsonl", "encoder=static", "trainer.max_steps=1", "logger=csv"]
    hardneg("train", *words, "hydra.run.dir=run")
    return tmp_path / "run"


def test_data_of_the_run_are_asked_for_where_the_default_would_be_taken(hardneg, of_pairs, tmp_path):
    for command in (["evaluate"], ["mine"], ["probe"], ["index", "index.path=i"]):
        said = hardneg(*command, f"ckpt_path={of_pairs}", code=2).stderr
        assert f"best.ckpt was trained on data=jsonl data.path={tmp_path}/pairs.jsonl" in said, command
        assert "without a word data=pydocs would be taken" in said
    hardneg("evaluate", f"ckpt_path={of_pairs}", "data=jsonl", f"data.path={tmp_path}/pairs.jsonl")


def test_an_experiment_of_ones_own_names_the_data(hardneg, of_pairs, tmp_path):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    preset = "# @package _global_\ndefaults:\n  - override /data: jsonl\ndata:\n  path: pairs.jsonl\n"
    (tmp_path / "conf/experiment/on_pairs.yaml").write_text(preset)
    hardneg("evaluate", "--config-dir", "conf", "+experiment=on_pairs", f"ckpt_path={of_pairs}")


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [
        ("jsonl", "pairs.jsonl", "trained on data=jsonl data.path={here}/pairs.jsonl, and"),  # an experiment named it
        ("live", "pairs.jsonl", "trained on data.path={here}/pairs.jsonl, and"),  # a kind of that run's own configs
        ("jsonl", "${oc.env:NOT_SET}/pairs.jsonl", "trained on data=jsonl "),
    ],
)
def test_words_that_can_be_typed_are_made_of_the_config_where_the_run_has_none(
    hardneg, of_pairs, tmp_path, kind, path, said
):
    (of_pairs / ".hydra/overrides.yaml").write_text("[]\n" if kind == "jsonl" else "[data=live]\n")
    hydra = of_pairs / ".hydra/hydra.yaml"
    hydra.write_text(hydra.read_text().replace("data: jsonl", f"data: {kind}"))
    config = of_pairs / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("path: pairs.jsonl", f"path: {path}"))
    assert said.format(here=tmp_path) in hardneg("evaluate", f"ckpt_path={of_pairs}", code=2).stderr


def test_a_run_of_the_default_needs_no_word(hardneg, of_pairs):
    config = of_pairs / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("hardneg.data.readers.jsonl.Jsonl", "hardneg.data.pydocs.PyDocs"))
    assert "trained on" not in hardneg("evaluate", f"ckpt_path={of_pairs}", "evaluate.depth=0", code=2).stderr
