"""The Python that the guides show runs as it is written, in a folder with nothing else in it."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (GUIDES / page).read_text(), flags=re.DOTALL)


def done(block, names):
    """Run a block of a page as its reader would, after those that gave these names."""
    exec(compile(block, "page", "exec"), names)
    return names


def pairs(path, count=60):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["query", "document"])
        rows.writerows((f"what is item {n}", f"item {n} is the thing with the number {n}") for n in range(count))


def test_the_pages_with_python_are_all_here():
    """A block that is added to a page needs a test below; those of your_own_parts.md are held by the contracts."""
    found = {path.name: len(blocks(path.name)) for path in GUIDES.glob("*.md") if blocks(path.name)}
    assert found == {"python.md": 3, "evaluate.md": 1, "mining.md": 1, "export.md": 1, "your_own_parts.md": 5}


def test_training_from_python_and_a_metric_of_ones_own(environment, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    names = {}
    for block in blocks("python.md"):
        done(block, names)
    assert names["vectors"].shape == (1, 256) and Path("my-encoder", "modules.json").is_file()
    run = names["run"]
    assert run.folder == Path("outputs/items").resolve() and run.config.encoder.dim == 64
    (metric,) = blocks("evaluate.md")
    found = run.evaluate(metrics=[done(metric, {})["first_hit"], "ndcg@10"])
    assert 0 <= found["first_hit"] <= 1 and found["ndcg@10"] == run.metrics["ndcg@10"]


def test_mined_negatives_are_read_by_datasets(hardneg, tmp_path):
    pairs(tmp_path / "pairs.csv")
    (command,) = re.findall(
        r"hardneg mine data.path=pairs.csv .*?export.path=mined.jsonl", page("mining.md"), re.DOTALL
    )
    words = command.replace("encoder=minilm", "encoder=static").replace("\\\n", " ").replace("'", "").split()
    hardneg(*words[1:])
    mined = done(blocks("mining.md")[0], {})["mined"]
    assert mined.column_names == ["anchor", "positive", *(f"negative_{n}" for n in range(1, 5))] and len(mined) > 40


def page(name):
    return (GUIDES / name).read_text()


@pytest.mark.skipif(not all(map(find_spec, ("onnxscript", "onnxruntime"))), reason="pip install 'hardneg[onnx]'")
def test_onnx_files_are_read_with_nothing_of_ours(hardneg, tmp_path):
    pairs(tmp_path / "pairs.csv")
    lengths = ["encoder.query.max_length=64", "encoder.document.max_length=64"]
    hardneg("train", "data.path=pairs.csv", "encoder=static", *lengths, "logger=csv", "trainer.max_steps=2",
            "hydra.run.dir=outputs/RUN")  # fmt: skip
    (command,) = re.findall(r"hardneg (export outputs/RUN my-encoder --force --onnx)", page("export.md"))
    hardneg(*command.split())
    vectors = done(blocks("export.md")[0], {})["vectors"]
    assert vectors.shape == (1, 256)
