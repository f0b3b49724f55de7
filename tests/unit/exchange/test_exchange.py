"""An encoder means the same here and in sentence-transformers, whichever way it goes."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from trained_encoders import NODES, vectors

from hardneg.cli import main
from hardneg.commands import export, import_
from hardneg.data.tokens import TokenTable
from hardneg.encoders import checkpoint
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.exchange.write import check_known, write
from hardneg.retrieval.metrics import per_query
from hardneg.retrieval.retriever import Retriever

sentence_transformers = pytest.importorskip("sentence_transformers")


@pytest.mark.parametrize("key", [{"bidirectional": True}, {"pooling": "latent_attention"}])
def test_what_sentence_transformers_has_not_is_refused(key):
    with pytest.raises(ConfigError, match=f"encoder.{next(iter(key))}="):
        check_known(Transformer(model="any", **key))


@pytest.mark.parametrize("kind", ["mean", "static"])
def test_a_tower_of_somebodys_own_is_not_taken_for_one_of_ours(kind, trained, tmp_path):
    own = checkpoint.load(trained(NODES[kind]))
    tower = own.towers.tower(DOCUMENT)
    if kind == "mean":
        tower.pool = lambda hidden, mask: hidden.amax(dim=1)
        with pytest.raises(ConfigError, match="no pooling as Transformer has it"):
            write(own, tmp_path / "pool")
    tower.__class__ = type("Own", (type(tower),), {})
    with pytest.raises(ConfigError, match=f"no module for a {type(own.recipe).__name__}"):
        write(own, tmp_path / "tower")


def theirs(folder, data):
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    encoded = model.encode_query(data.queries.texts.to_pylist()), model.encode_document(data.corpus.texts.to_pylist())
    return [torch.from_numpy(rows) for rows in encoded], model


@pytest.mark.parametrize("kind", NODES)
def test_vectors_are_the_same_there_and_back(kind, trained, toy, tmp_path):
    path = trained(NODES[kind])
    ours = list(vectors(path, toy, tmp_path))
    export.main([str(path), str(tmp_path / "out")])
    there, model = theirs(tmp_path / "out", toy)
    import_.main([str(tmp_path / "out"), str(tmp_path / "back.ckpt")])
    back = list(vectors(tmp_path / "back.ckpt", toy, tmp_path))
    for one, other, again in zip(ours, there, back, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)
        torch.testing.assert_close(again, one, rtol=0, atol=1e-5)
    assert model.similarity_fn_name == ("dot" if NODES[kind].get("normalize") is False else "cosine")
    if "lora" not in NODES[kind]:  # merged adapters are no adapters any more
        again = checkpoint.load(path)
        checkpoint.start_from(tmp_path / "back.ckpt", again.recipe, again.tokenizer, again.towers)
    one, other = checkpoint.load(path).recipe, checkpoint.load(tmp_path / "back.ckpt").recipe
    assert (one.query, one.document, one.two_towers) == (other.query, other.document, other.two_towers)


def test_two_towers_as_versions_before_5_save_them(trained, toy, tmp_path):
    """Asym, whose routes are in a file of another name, was refused as one without any."""
    path, out = trained(NODES["last, two towers"]), tmp_path / "out"
    export.main([str(path), str(out)])
    (out / "router_config.json").rename(out / "config.json")
    listed = json.loads((out / "modules.json").read_text())
    (out / "modules.json").write_text(json.dumps([{**listed[0], "type": "sentence_transformers.models.Asym"}]))
    there, _ = theirs(out, toy)
    import_.main([str(out), str(tmp_path / "back.ckpt")])
    for one, other in zip(vectors(tmp_path / "back.ckpt", toy, tmp_path), there, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_metric_is_the_same_and_plain_hugging_face_reads_the_folder(trained, toy, bert, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    path = trained(NODES["mean"])
    export.main([str(path), str(tmp_path / "out")])
    (queries, docs), model = theirs(tmp_path / "out", toy)
    loaded = checkpoint.load(path)
    tables = [
        TokenTable.build(texts, loaded.tokenizer, getattr(loaded.recipe, side), tmp_path, side)
        for side, texts in ((QUERY, toy.queries), (DOCUMENT, toy.corpus))
    ]
    run = Retriever(toy, *tables, "32-true").runs(loaded.towers, ["test"], 10)["test"]
    ours = per_query(run, toy.split("test"), toy, ["ndcg@10"])["ndcg@10"].mean()

    labels = toy.split("test").relevant
    gains = []
    for query, scores in enumerate(model.similarity(queries, docs)):
        relevant = set(labels.docs[labels.queries == query].tolist())
        if relevant:
            top = scores.topk(10).indices.tolist()
            gained = sum(1 / np.log2(rank + 2) for rank, doc in enumerate(top) if doc in relevant)
            gains.append(gained / sum(1 / np.log2(rank + 2) for rank in range(min(len(relevant), 10))))
    assert ours == pytest.approx(np.mean(gains), abs=1e-6)

    assert AutoModel.from_pretrained(tmp_path / "out").config.num_hidden_layers == 2
    tokens = AutoTokenizer.from_pretrained(tmp_path / "out")("ask: what", truncation=True)
    assert set(tokens) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    ("modules", "pooling", "settings", "said"),
    [
        (["Transformer", "Pooling", "CNN"], {}, {}, "no module like sentence_transformers.models.CNN"),
        (["Transformer", "Pooling", "Dense"], {}, {}, "does not say in_features"),
        (["Transformer", "Pooling", "Normalize", "Dense"], {}, {}, "Normalize, Dense in this order"),
        (["Transformer", "Pooling"], {"pooling_mode": "sum"}, {}, "pools by sum; hardneg has mean, cls, last"),
        (["Transformer", "Pooling"], {"pooling_mode": ["cls", "sum"]}, {}, r"pools by cls \+ sum"),
        (["Transformer", "Pooling"], {}, {"similarity_fn_name": "euclidean"}, "similarity is euclidean"),
        (["Transformer", "Normalize"], {}, {}, "Transformer, Normalize in this order"),
    ],
)
def test_what_we_do_not_have_is_refused(modules, pooling, settings, said, tmp_path):
    listed = [{"idx": i, "name": str(i), "path": f"{i}", "type": f"sentence_transformers.models.{m}"} for i, m in
              enumerate(modules)]  # fmt: skip
    (tmp_path / "1").mkdir()
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    (tmp_path / "1/config.json").write_text(json.dumps(pooling))
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=said):
        import_.main([str(tmp_path), str(tmp_path / "a.ckpt")])
    assert not (tmp_path / "a.ckpt").exists()


def test_a_prompt_that_encode_document_leaves_out_is_told_of(trained, tmp_path, caplog):
    export.main([str(trained(NODES["mean"])), str(tmp_path / "out")])
    import_.main([str(tmp_path / "out"), str(tmp_path / "usual.ckpt")])
    assert "prompt" not in caplog.text
    settings = {"prompts": {"query": "q: ", "passage": "p: "}}
    (tmp_path / "out/config_sentence_transformers.json").write_text(json.dumps(settings))
    import_.main([str(tmp_path / "out"), str(tmp_path / "back.ckpt")])
    [record] = [record for record in caplog.records if "prompt" in record.message]
    assert "'p: ' (passage in config_sentence_transformers.json)" in record.message
    assert "encode_document" in record.message
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "out"))
    bare, prompted = (theirs.encode(["a text"], prompt=prompt) for prompt in ("", "p: "))
    assert not np.allclose(bare, prompted, atol=1e-3)
    assert np.allclose(theirs.encode(["a text"], prompt_name="passage"), prompted, atol=1e-5)
    assert np.allclose(theirs.encode_document(["a text"]), bare, atol=1e-5)  # once it is not, nothing is to be told


def test_prompts_and_lengths_of_an_older_folder(trained, toy, tmp_path):
    export.main([str(trained({**NODES["mean"], "normalize": False})), str(tmp_path / "out")])
    old = {"prompts": {"query": "q: ", "passage": "p: "}, "similarity_fn_name": None}
    (tmp_path / "out/config_sentence_transformers.json").write_text(json.dumps(old))
    (tmp_path / "out/sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 5}))
    import_.main([str(tmp_path / "out"), str(tmp_path / "back.ckpt")])
    recipe = checkpoint.load(tmp_path / "back.ckpt").recipe
    assert (recipe.query.prompt, recipe.document.prompt) == ("q: ", "p: ")
    assert recipe.query.max_length == recipe.document.max_length == 5
    assert recipe.normalize  # cosine is the similarity of a folder that names none


def test_nothing_is_overwritten_unless_asked(trained, tmp_path):
    path = str(trained(NODES["static"]))
    out, back = tmp_path / "out", tmp_path / "back.ckpt"
    export.main([path, str(out)])
    with pytest.raises(ConfigError, match=r"not empty.*--force"):
        export.main([path, str(out)])
    (out / "left_over").touch()
    export.main([path, str(out), "--force"])
    assert not (out / "left_over").exists()
    import_.main([str(out), str(back)])
    with pytest.raises(ConfigError, match=r"exists.*--force"):
        import_.main([str(out), str(back)])
    import_.main([str(out), str(back), "--force"])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="something other than an export"):
        export.main([path, str(mine), "--force"])
    assert (mine / "thesis.tex").exists()
    with pytest.raises(ConfigError, match="neither a checkpoint nor a run folder"):
        export.main([str(mine), str(tmp_path / "new")])
    with pytest.raises(ConfigError, match=r"not a sentence-transformers folder.*modules\.json"):
        import_.main([str(mine), str(tmp_path / "new.ckpt")])


def test_the_card_of_a_run_tells_how_it_was_trained_and_names_no_local_path(trained, tmp_path, monkeypatch):
    from huggingface_hub import ModelCard

    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / ".hydra").mkdir()
    trained(NODES["static of a transformer, two towers"]).rename(run / "checkpoints/best.ckpt")
    test = {"BM25": {"ndcg@10": 0.25, "mrr@10": 0.125}, "after": {"ndcg@10": 0.5, "mrr@10": 0.375}}
    dev = {"best": 0.5, "history": [{"step": 0, "val/ndcg@10": 0.1}, {"step": 11, "val/ndcg@10": 0.5}]}
    sizes = {"documents": 120, "queries": {"train": 36, "test": 12}}
    summary = {"hardneg": "0.1.0", "name": "bm25-infonce-s7", "seed": 7, "data": "wiki", "precision": "32-true"}
    (run / "summary.json").write_text(json.dumps({**summary, "steps": 11, "sizes": sizes, "dev": dev, "test": test}))
    config = {
        "split": {"test": "test"}, "negatives": {"bm25": {"k": 4}}, "loss": {"infonce": {"temperature": 0.05}},
        "filter": {}, "batch_size": 32, "encoder": {"init": "/home/me/models/bert"}, "optimizer": {"lr": 0.01},
        "schedule": {"warmup": 0.1},
    }  # fmt: skip
    (run / ".hydra/config.yaml").write_text(json.dumps(config))
    words = ["data=beir", "data.path=/home/me/data/wiki", "negatives=[bm25]", "seed=7", "hydra.run.dir=/home/me/run"]
    (run / ".hydra/overrides.yaml").write_text(json.dumps(words))
    monkeypatch.setattr("sys.argv", ["hardneg", "export", str(run), str(tmp_path / "out")])
    main()
    text = (tmp_path / "out/README.md").read_text()
    assert "/home" not in text and str(tmp_path) not in text
    assert "hardneg train data=beir data.path=wiki 'negatives=[bm25]' seed=7\n" in text
    for row in ("| documents | 120 |", "| filters | none |", "| seed | 7 |", "| after | 0.5000 | 0.3750 |", "| 11 |"):
        assert row in text
    assert re.search(r"SentenceTransformer\(.out.\)", text)
    card = ModelCard.load(tmp_path / "out/README.md")
    assert card.data.library_name == "sentence-transformers" and card.data.pipeline_tag == "sentence-similarity"
    (ndcg, _) = card.data.eval_results
    assert (ndcg.dataset_name, ndcg.metric_type, ndcg.metric_value) == ("wiki", "ndcg@10", 0.5)
    for file in (tmp_path / "out").rglob("*.json"):
        assert str(tmp_path.parents[1]) not in file.read_text()
    shutil.copy(run / "checkpoints/best.ckpt", run / "checkpoints/last.ckpt")
    export.main([str(run / "checkpoints/last.ckpt"), str(tmp_path / "last")])
    text = (tmp_path / "last/README.md").read_text()
    assert "`last.ckpt`, which the run did not test" in text and "| seed | 7 |" in text
    assert "0.3750" not in text, "results of another checkpoint"
    assert not ModelCard.load(tmp_path / "last/README.md").data.eval_results
