"""Whole runs on every layout that people bring: trained, mined and evaluated from the path alone."""

from __future__ import annotations

import json

import layouts
import pytest

RUN = ["encoder=static", "encoder.dim=16", "batch_size=16", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run"]


def beir(folder):
    """The same world and the same held-out queries in BEIR layout, whose reader has nothing in common with these."""
    lines = layouts.world()
    layouts.as_jsonl(folder / "queries.jsonl", [{"_id": f"q{i}", "text": line.query} for i, line in enumerate(lines)])
    corpus = [
        {"_id": f"d{i}", "title": title, "text": text}
        for i, (title, text) in enumerate(line.positive for line in lines)
    ]
    layouts.as_jsonl(folder / "corpus.jsonl", corpus)
    (folder / "qrels").mkdir()
    (folder / "qrels/train.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in range(len(lines))))
    return folder


EXPECTED: dict[str, float] = {}


@pytest.fixture
def expected(hardneg, tmp_path):
    """BM25's test of the BEIR folder, once for all layouts."""
    if EXPECTED:
        return EXPECTED
    folder = beir(tmp_path / "beir")
    shares = ["data.dev_share=0.2", "data.test_share=0.2"]
    hardneg("train", f"data.path={folder}", *shares, *RUN[:-1], "hydra.run.dir=reference")
    EXPECTED.update(json.loads((tmp_path / "reference/summary.json").read_text())["test"]["BM25"])
    return EXPECTED


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_run_needs_only_the_path(hardneg, tmp_path, expected, name):
    kind, path, settings, has = layouts.write(tmp_path, name)
    words = [f"data.path='{path}'", "data.dev_share=0.2", "data.test_share=0.2"]
    words += [f"data.{key}={value}" for key, value in settings.items()]
    words += ["negatives=[in_batch,bm25,given]" if has else "negatives=[in_batch,bm25]"]
    words += ["loss=[infonce,kl,margin_mse]"] if has == "scores" else []
    said = hardneg("train", *words, *RUN)
    assert f"data.path looks like data={kind}" in said.stderr
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["test"]["BM25"] == pytest.approx(expected)
    assert summary["test"]["after"]["recall@100"] == 1
    stores = [json.loads(line) for line in (tmp_path / "run/stores.jsonl").read_text().splitlines()]
    assert [store["source"] for store in stores] == ["bm25"]


def test_columns_are_named_on_the_command_line(hardneg, tmp_path):
    rows = [{"one": line.query, "two": layouts.joined(line.positive), "three": "x"} for line in layouts.world()]
    path = layouts.as_csv(tmp_path / "x.csv", rows)
    words = ["data=table", f"data.path={path}", "data.dev_share=0.2", "data.test_share=0.2", "evaluate.bm25=null"]
    hardneg("train", *words, "data.columns={query: one, positive: two}", *RUN)
    refused = hardneg("train", *words, "data.columns={query: one, positve: two}", *RUN, code=2)
    assert "did you mean data.columns.positive?" in refused.stderr
    refused = hardneg("train", *words, "data.columns={query: one}", *RUN[:-1], "hydra.run.dir=other", code=2)
    assert "data.columns names no positive" in refused.stdout + refused.stderr
