"""`--relevant-from`: which grades of a qrels file are relevant, against trec_eval's relevance level."""

from __future__ import annotations

import json

import numpy as np
import pytest
import pytrec_eval

from hardneg.ab.relevance import from_files
from hardneg.commands.ab import main
from hardneg.errors import UserError
from hardneg.retrieval.metrics import of_rankings


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"q{q}", f"d{d}", int(rng.integers(0, 4))) for q in range(8) for d in range(10)]
    (tmp_path / "qrels.tsv").write_text("".join(f"{q} 0 {d} {g}\n" for q, d, g in rows))
    for name in ("old", "new"):
        order = [(q, d, rng.random()) for q, d, _ in rows]
        (tmp_path / f"{name}.run").write_text("".join(f"{q} Q0 {d} 1 {s} x\n" for q, d, s in order))
    return tmp_path


def test_it_is_trec_evals_relevance_level(files):
    every, high = from_files(files / "qrels.tsv", None, None), from_files(files / "qrels.tsv", None, None, 2.0)
    rankings = {q: {doc: 1 / (i + 1) for i, doc in enumerate(docs)} for q, docs in every.labels.items()}
    found = of_rankings(rankings, high.labels, ["recall@3", "mrr@5", "ndcg@5"], high.gains)
    trec = pytrec_eval.RelevanceEvaluator(every.labels, {"recall.3", "ndcg_cut.5"}, relevance_level=2)
    expected = trec.evaluate(rankings)
    assert found["recall@3"].tolist() == [expected[q]["recall_3"] for q in rankings]
    assert found["ndcg@5"].tolist() == [expected[q]["ndcg_cut_5"] for q in rankings]


def test_the_command_takes_it_and_refuses_what_cannot_be(files, capsys):
    words = [
        str(files / "old.run"),
        str(files / "new.run"),
        "--qrels",
        str(files / "qrels.tsv"),
        "--click-model",
        "none",
    ]
    found = []
    for more in ([], ["--relevant-from", "2"]):
        main([*words, *more, "--metric", "ndcg@5,recall@3", "--json", str(files / "report.json")])
        found.append({m["name"]: m["old"] for m in json.loads((files / "report.json").read_text())["metrics"]})
    assert found[0]["ndcg@5"] == pytest.approx(found[1]["ndcg@5"]) and found[0]["recall@3"] != found[1]["recall@3"]
    with pytest.raises(UserError, match="the highest grade is 3"):
        main([*words, "--relevant-from", "4"])
    with pytest.raises(UserError, match="must be above 0: it is the lowest relevant grade"):
        main([*words, "--relevant-from", "0"])
    with pytest.raises(UserError, match=r"data\.relevant_from=2"):
        main([*words[:2], "--relevant-from", "2"])
