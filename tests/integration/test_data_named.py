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


def test_a_run_of_the_default_needs_no_word(hardneg, of_pairs):
    config = of_pairs / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("hardneg.data.readers.jsonl.Jsonl", "hardneg.data.pydocs.PyDocs"))
    assert "trained on" not in hardneg("evaluate", f"ckpt_path={of_pairs}", "evaluate.depth=0", code=2).stderr
