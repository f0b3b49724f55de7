"""`hardneg inspect`: what it counts against what is planted in small sets, and the command that it ends with."""

from __future__ import annotations

import io
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from hardneg import cli
from hardneg.commands.inspect import config_words
from hardneg.data.scripts import scripts
from hardneg.errors import UserError
from hardneg.inspection.first_hits import first_hits, jaccard
from hardneg.inspection.labels import labels, leaks
from hardneg.inspection.lengths import fitting
from hardneg.inspection.opened import read
from hardneg.inspection.report import Bounds, inspect
from hardneg.inspection.show import show
from hardneg.inspection.texts import Alike, duplicates

COLOURS = ["red", "green", "blue", "white", "black", "grey", "pink", "brown"]
ANIMALS = ["fox", "dog", "cat", "cow", "hen", "owl", "bat", "elk"]


def sentence(number):
    colour, animal = COLOURS[number % 8], ANIMALS[number // 8]
    return f"the {colour} {animal} of farm{number} sleeps near the old mill every single winter night"


def write_beir(folder, documents, queries, qrels):
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    for split, rows in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in rows)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def planted(tmp_path):
    """64 farms asked for; planted: a copy, a near copy, a query that is a document, one asked again in test."""
    documents = {f"d{n}": sentence(n) for n in range(64)}
    documents |= {"copy": f"{sentence(3).upper()} ", "near": sentence(5).replace("night", "day")}
    queries = {f"q{n}": f"where sleeps {COLOURS[n % 8]} {ANIMALS[n // 8]} farm{n}" for n in range(64)}
    queries |= {"again": f"{queries['q7'].title()}", "document": sentence(9), "stranger": "zzz yyy"}
    train = [(f"q{n}", f"d{n}", 1) for n in range(50)] + [("q0", "d1", 2), ("q0", "d2", 0), ("stranger", "d60", 1)]
    test = [("q60", "d60", 1), ("again", "d7", 1), ("document", "d9", 1)]
    return write_beir(tmp_path / "farms", documents, queries, {"train": train, "test": test})


@pytest.fixture
def found(planted):
    return inspect(read([f"data.path='{planted}'", "data=beir"]), Bounds())


def test_splits_are_counted(found):
    train = found["splits"]["train"]
    assert (train["queries"], train["judgements"], train["relevant"], train["relevant_documents"]) == (51, 53, 52, 51)
    assert train["grades"] == {"0": 1, "1": 51, "2": 1}
    assert train["positives_per_query"]["queries_with"] == {"1": 50, "2": 1, "3-5": 0, "6-10": 0, "11+": 0}
    assert train["positives_per_query"]["mean"] == pytest.approx(52 / 51)
    assert list(found["splits"]) == ["train", "test"]


def test_what_is_planted_is_found(found):
    copies = found["duplicates"]["document"]
    assert (copies["texts"], copies["groups"]) == (1, 1) and copies["examples"][0]["ids"] == ["d3", "copy"]
    assert found["queries_that_are_documents"]["queries"] == 1
    assert found["queries_that_are_documents"]["examples"][0]["document"] == "d9"
    (pair,) = found["leaks"]
    assert (pair["also_asked_in_first"], pair["with_a_positive_of_first"], pair["queries"]) == (1, 3, 3)
    near = found["near_copies"]
    shown = {(one["query"]["id"], one["not_labelled"]["id"]): one["alike"] for one in near["examples"]}
    assert set(shown) == {("q3", "copy"), ("q5", "near")}
    assert (near["with_near_copies"], near["documents"], near["word_for_word"]) == (2, 2, 1)
    words = sentence(5).split(), sentence(5).replace("night", "day").split()
    one, other = (set(pairwise(part)) for part in words)
    assert shown["q5", "near"] == pytest.approx(len(one & other) / len(one | other))
    assert shown["q3", "copy"] == 1.0


def test_bm25_finds_all_but_the_stranger(found):
    train = found["bm25"]["splits"]["train"]
    assert train["top10"] == pytest.approx(50 / 51) and train["nothing"] == pytest.approx(1 / 51)
    assert found["bm25"]["documents"] == found["bm25"]["of"] == 66


def test_bm25_shares_are_those_of_its_ranking(toy):
    import bm25s  # the library's own words and scores, without ours

    words = {"stopwords": "en", "stemmer": __import__("Stemmer").Stemmer("english"), "show_progress": False}
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(bm25s.tokenize(toy.corpus.texts.to_pylist(), **words), show_progress=False)
    rows = toy.qrels["test"].query_rows
    ids, scores = index.retrieve(bm25s.tokenize(toy.queries.take(rows), **words), k=10, show_progress=False)
    pairs = set(zip(toy.qrels["test"].queries.tolist(), toy.qrels["test"].docs.tolist(), strict=True))
    hit = [
        any((int(q), int(d)) in pairs and s > 0 for d, s in zip(*line, strict=True))
        for q, *line in zip(rows, ids, scores, strict=True)
    ]
    assert first_hits(toy, Alike.of(toy), 500, 1000)["bm25"]["splits"]["test"]["top10"] == pytest.approx(np.mean(hit))


def test_bounds_keep_the_positives_of_the_queries_that_are_asked(toy):
    told = first_hits(toy, Alike.of(toy), 5, 40)
    assert told["bm25"]["documents"] == 40 and told["bm25"]["of"] == len(toy.corpus)
    assert all(split["queries"] == min(5, split["of"]) for split in told["bm25"]["splits"].values())
    assert told == first_hits(toy, Alike.of(toy), 5, 40)


def test_lengths_are_those_of_the_tokenizer(planted):
    opened = read([f"data.path='{planted}'", "data=beir", "encoder.query.prompt='query: '"])
    told = inspect(opened, Bounds())["lengths"]
    tokenizer = opened.recipe.tokenizer(opened.data.corpus)
    tokenizer.no_padding()
    for side, texts in (("query", opened.data.queries), ("document", opened.data.corpus)):
        before = "query: " if side == "query" else ""
        counts = np.array([len(tokenizer.encode(before + text).ids) for text in texts.texts.to_pylist()])
        assert told[side]["mean"] == pytest.approx(counts.mean()) and told[side]["max"] == counts.max()
        assert told[side]["cut"]["32"] == pytest.approx((counts > 32).mean())


@pytest.mark.parametrize(("counts", "fits"), [([10] * 99 + [900], 32), ([10] * 9 + [100], 128), ([900] * 5, 512)])
def test_a_length_fits_that_cuts_few(counts, fits):
    assert fitting(np.array(counts)) == fits


def test_scripts_by_share_of_letters():
    found = scripts(["abc where \uff57", "где", "日本 の", "한", "12 !?"])
    letters = Counter(Latin=9, Cyrillic=3, Han=2, Hiragana=1, Hangul=1)
    assert found == pytest.approx({name: n / 16 for name, n in letters.items()})
    assert scripts(["12"]) == {}


def test_jaccard():
    assert jaccard(frozenset("abc"), frozenset("bcd")) == 0.5 and jaccard(frozenset(), frozenset()) == 0.0


def test_a_tangled_set(tangled):
    told = duplicates(tangled.corpus, Alike.of(tangled).docs)
    texts = Counter(" ".join(text.lower().split()) for text in tangled.corpus.texts.to_pylist())
    assert told["texts"] == sum(n - 1 for n in texts.values()) and told["groups"] == sum(n > 1 for n in texts.values())
    assert leaks(tangled, Alike.of(tangled))[0]["also_asked_in_first"] == 0
    assert labels(tangled)["train"]["queries"] == len(tangled.qrels["train"].query_rows)


def test_bad_rows_are_counted_and_the_first_is_shown(tmp_path):
    path = tmp_path / "my pairs.jsonl"
    rows = [json.dumps({"query": f"who owns {sentence(n)}", "positive": sentence(n)}) for n in range(40)]
    path.write_text("\n".join([*rows, '{"query": "", "positive": "x"}', "{bad"]))
    told = inspect(read(["data=jsonl", f"data.path='{path}'"]), Bounds())
    assert told["left_out"]["rows"] == {"empty text": 1, "broken JSON": 1}
    assert told["left_out"]["first"].startswith(f"{path}:41:")
    assert {"data.on_error=skip", "data.dev_share=0.1", "data.test_share=0.1"} <= set(told["words"])
    assert not any(word.startswith("batch_size=") for word in told["words"]), "auto suits few queries"


def test_a_positive_that_is_not_in_the_corpus_is_told(tmp_path):
    documents, queries = {f"d{n}": sentence(n) for n in range(40)}, {f"q{n}": f"who owns farm{n}" for n in range(40)}
    qrels = [(f"q{n}", f"d{n}", 1) for n in range(40)] + [("q1", "gone", 1)]
    folder = write_beir(tmp_path / "s", documents, queries, {"train": qrels})
    told = inspect(read(["data=beir", f"data.path='{folder}'"]), Bounds())
    assert told["left_out"]["rows"] == {"unknown document": 1} and "'gone' is not in the corpus" in told["findings"][0]
    assert told["findings"][0].startswith("left out: 1 bad row (unknown document: 1); ")


def test_that_no_likely_false_negatives_were_found_is_said_plainly(tmp_path):
    folder = write_beir(tmp_path / "s", {"d": "a b", "e": "c d"}, {"q": "a b"}, {"train": [("q", "d", 1)]})
    out = io.StringIO()
    show(inspect(read(["data=beir", f"data.path='{folder}'"]), Bounds()), Console(file=out, width=200))
    (said,) = (line for line in out.getvalue().splitlines() if "of word pairs" in line)
    assert said.startswith("none found: no unlabelled document has 70% of") and said.endswith("(queries looked at: 1)")


def test_so_few_queries_that_none_can_be_held_out(tmp_path):
    folder = write_beir(tmp_path / "s", {"d": "a b", "e": "c d"}, {"q": "a b"}, {"train": [("q", "d", 1)]})
    told = inspect(read(["data=beir", f"data.path='{folder}'"]), Bounds())
    assert {"split.dev=null", "split.test=null"} <= set(told["words"])


def test_the_shares_hold_out_what_is_said(planted):
    from hardneg.config import classes

    opened = read([f"data.path='{planted}'", "data=beir"])
    assert "data.dev_share=0.1" in inspect(opened, Bounds())["words"]
    held = classes.build(opened.settings | {"dev_share": 0.1}).load()
    assert set(held.qrels) == {"train", "dev", "test"}


@pytest.mark.parametrize("seed", [0, 1, 5, 8])
def test_the_shares_hold_out_what_is_said_by_another_seed_too(tmp_path, seed):
    from hardneg.config import classes

    documents, queries = {f"d{n}": sentence(n) for n in range(12)}, {f"q{n}": f"who owns farm{n}" for n in range(12)}
    qrels = [(f"q{n}", f"d{n}", 1) for n in range(12)]
    folder = write_beir(tmp_path / "s", documents, queries, {"train": qrels})
    opened = read([f"data.path='{folder}'", "data=beir", f"data.split_seed={seed}"])
    words = dict(word.split("=", 1) for word in inspect(opened, Bounds())["words"][2:])
    shares = {key: float(words[f"data.{key}"]) for key in ("dev_share", "test_share")}
    assert set(classes.build(opened.settings | shares).load().qrels) == {"train", "dev", "test"}


@pytest.mark.parametrize(("test", "said"), [("[test]", True), ("[test,hard]", True), ("[test,gone]", False)])
def test_several_test_splits_may_be_named(planted, test, said):
    text = (planted / "qrels" / "test.tsv").read_text()
    (planted / "qrels" / "hard.tsv").write_text(text)
    words = inspect(read([f"data.path='{planted}'", "data=beir", f"split.test={test}"]), Bounds())["words"]
    assert f"split.test={test}" in words
    assert ("data.dev_share=0.1" in words) is said, "there is no telling how a split of another name is made"


def test_a_set_without_train_is_ranked(tmp_path):
    folder = write_beir(tmp_path / "s", {"d": "a b", "e": "c d"}, {"q": "a"}, {"test": [("q", "d", 1)]})
    told = inspect(read(["data=beir", f"data.path='{folder}'"]), Bounds())
    assert told["command"] == f"hardneg evaluate data=beir data.path={folder} split=test ckpt_path=RUN_FOLDER"


def test_the_command_prints_a_report_and_json(planted, capsys, monkeypatch):
    cli.run("inspect", str(planted))
    out = capsys.readouterr().out
    assert "farms: 66 documents, 67 queries" in out and "Likely false negatives" in out
    last = out.strip().splitlines()[-1]
    assert last.startswith(f"hardneg train data=beir data.path={planted} data.dev_share=0.1 encoder=static")
    monkeypatch.setattr("sys.argv", ["hardneg", "inspect", str(planted), "--json"])
    cli.main()
    captured = capsys.readouterr()
    assert json.loads(captured.out)["command"] == last and "data=beir" in captured.err


def test_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.csv").touch()
    assert config_words(["a=b.csv", "encoder=minilm"]) == ["data.path='a=b.csv'", "encoder=minilm"]
    assert config_words(["+data@data.sets.x=toy", "data=mix"]) == ["+data@data.sets.x=toy", "data=mix"]
    with pytest.raises(UserError, match="seed=1: inspect takes"):
        config_words(["a.csv", "seed=1"])
    with pytest.raises(UserError, match="give the path"):
        config_words(["encoder=minilm"])
