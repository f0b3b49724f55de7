"""An export evaluated by mteb on a set of one's own gives our nDCG@10."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.config import classes
from hardneg.data.tokens import TokenTable
from hardneg.encoders import checkpoint
from hardneg.encoders.towers import Towers
from hardneg.exchange.write import write
from hardneg.retrieval.metrics import per_query
from hardneg.retrieval.retriever import Retriever

mteb = pytest.importorskip("mteb")
SentenceTransformer = pytest.importorskip("sentence_transformers").SentenceTransformer


def task_of(data):
    """The test split as a task of mteb's; what it asks for beside the data may be None."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    labels, queries, docs = data.split("test").relevant, data.queries.ids.to_pylist(), data.corpus.ids.to_pylist()
    relevant = {}
    for query, doc in zip(labels.queries, labels.docs, strict=True):
        relevant.setdefault(queries[query], {})[docs[doc]] = 1
    asked = np.unique(labels.queries)
    tables = {
        "corpus": Dataset.from_dict({"id": docs, "text": data.corpus.texts.to_pylist()}),
        "queries": Dataset.from_dict({"id": [queries[row] for row in asked], "text": data.queries.take(asked)}),
        "relevant_docs": relevant,
        "top_ranked": None,
    }
    unknown = ("reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect")

    class Own(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Own", description="own", dataset={"path": "own", "revision": "1"}, type="Retrieval", category="t2t",
            modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"], main_score="ndcg_at_10",
            sample_creation=None, bibtex_citation=None, **dict.fromkeys(unknown),
        )  # fmt: skip

        def load_data(self, *_, **__):
            self.dataset, self.data_loaded = {"default": {"test": tables}}, True

    return Own()


def test_mteb_agrees(toy, tmp_path):
    recipe = classes.build({"_target_": "hardneg.encoders.static.Static", "dim": 64, "vocab_size": 300})
    tokenizer = recipe.tokenizer(toy.corpus)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    tables = [
        TokenTable.build(texts, tokenizer, side, tmp_path / "tokens", "texts")
        for texts, side in ((toy.queries, recipe.query), (toy.corpus, recipe.document))
    ]
    run = Retriever(toy, *tables, "32-true").runs(towers, ["test"], 100)["test"]
    ours = per_query(run, toy.split("test"), toy, ["ndcg@10"])["ndcg@10"].mean()
    assert ours > 0.1

    (tmp_path / "out").mkdir()
    write(checkpoint.Trained(recipe, tokenizer, towers), tmp_path / "out")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    found = mteb.evaluate(model, task_of(toy), cache=None, show_progress_bar=False)
    assert found.task_results[0].scores["test"][0]["ndcg_at_10"] == pytest.approx(ours, abs=1e-5)
