"""BM25 against its formula, and the queries and corpora at the edge."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from rank_texts import rank_texts
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer

from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError
from hardneg.filters.score_margin import AbsoluteMargin, RelativeMargin
from hardneg.mining.base import Task
from hardneg.mining.baseline import baseline_metrics
from hardneg.mining.bm25 import BM25
from hardneg.mining.bm25_tokens import by_script, pairs, splitter
from hardneg.mining.filtering import filter_hits
from hardneg.testing.synthetic import make_data

DOCS = [
    "red apple red pear",
    "green apple",
    "blue sea and green sea and blue sky",
    "pear tree green tree apple tree",
    "nothing here",
    "red",
]
QUERIES = ["red apple", "green sea tree", "apple apple pear", "sky"]


def corpus(texts):
    return Texts.of([f"d{i}" for i in range(len(texts))], texts)


def formula(query, docs, k1, b):
    """Lucene's Okapi BM25, word by word."""
    split = [doc.split() for doc in docs]
    mean = sum(map(len, split)) / len(split)
    scores = np.zeros(len(docs))
    for word in query.split():
        n = sum(word in doc for doc in split)
        idf = math.log(1 + (len(docs) - n + 0.5) / (n + 0.5))
        for i, doc in enumerate(split):
            tf = Counter(doc)[word]
            scores[i] += idf * tf / (tf + k1 * (1 - b + b * len(doc) / mean))
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0)])
def test_it_is_the_formula(k1, b):
    found = rank_texts(BM25(k1=k1, b=b, language=None, stopwords=None), QUERIES, corpus(DOCS), len(DOCS))
    for query, ids, scores in zip(QUERIES, found.ids, found.scores, strict=True):
        expected = formula(query, DOCS, k1, b)
        kept = ids >= 0
        assert set(ids[kept].tolist()) == set(np.flatnonzero(expected > 0).tolist())
        np.testing.assert_allclose(scores[kept], expected[ids[kept]], rtol=1e-5)
        assert (np.diff(scores[kept]) <= 0).all(), "best first"


def test_a_positive_outside_the_pool_is_scored_as_if_it_stood_there():
    """By the pool's counts: a word that no document there has is as rare as can be."""
    pool, k1, b = [0, 1, 3], 1.2, 0.75
    queries = ["red apple", "green sea tree", "sky"]
    data = RetrievalData("texts", corpus(DOCS), corpus(queries), {})
    task = Task(data, np.array(pool, np.int32), np.array([0, 2, 4], np.int32), Path())
    miner = BM25(k1=k1, b=b, language=None, stopwords=None)
    asked = np.array([[0, 2], [2, -1], [2, 4]], np.int32)
    found = miner.open(task)(np.arange(3, dtype=np.int32), asked, 6)
    inside = [DOCS[row].split() for row in pool]
    mean = sum(map(len, inside)) / len(pool)

    def score(query, doc):
        total, words = 0.0, DOCS[doc].split()
        for word in query.split():
            n = sum(word in other for other in inside)
            tf = words.count(word)
            idf = math.log(1 + (len(pool) - n + 0.5) / (n + 0.5))
            total += idf * tf / (tf + k1 * (1 - b + b * len(words) / mean))
        return total

    expected = [
        [np.nan if doc < 0 else score(query, doc) for doc in docs] for query, docs in zip(queries, asked, strict=True)
    ]
    np.testing.assert_allclose(found.positives, expected, rtol=1e-5)
    assert np.isin(found.ids, [-1, *pool]).all()
    alone = miner.open(replace(task, positives=np.empty(0, np.int32)))(np.arange(3, dtype=np.int32), asked, 6)
    np.testing.assert_array_equal(found.ids, alone.ids)
    np.testing.assert_array_equal(found.scores, alone.scores)


@pytest.mark.parametrize("margin", [AbsoluteMargin(0.0), RelativeMargin(0.0)], ids=["absolute", "relative"])
def test_what_scores_above_a_positive_outside_the_pool_is_dropped(margin):
    data = RetrievalData("texts", corpus(["red blue sea", "red", "red blue sea sky sky"]), corpus(["red sky"]), {})
    task = Task(data, np.array([1, 2], np.int32), np.array([0], np.int32), Path())
    known, queries = np.array([[0]], np.int32), np.array([0], np.int32)
    hits = BM25().open(task)(queries, known, 2)
    reasons, _ = filter_hits(hits, known, queries, {"margin": margin})
    assert (reasons == 1).all()  # both say more of `red`, or of `sky`


def test_documents_without_a_word_of_the_query_are_left_out():
    found = rank_texts(BM25(), ["sky"], corpus(DOCS), 4)
    assert found.ids.tolist() == [[2, -1, -1, -1]]
    assert np.isneginf(found.scores[0, 1:]).all() and found.scores[0, 0] > 0


@pytest.mark.parametrize("query", ["", "the", "zzz", "zzz qqq"])
def test_a_query_without_a_known_word_finds_nothing_and_disturbs_no_other(query):
    found = rank_texts(BM25(), ["red", query, "sky"], corpus(DOCS), 3)
    assert found.ids[1].tolist() == [-1, -1, -1] and np.isneginf(found.scores[1]).all()
    np.testing.assert_array_equal(found.ids[[0, 2]], rank_texts(BM25(), ["red", "sky"], corpus(DOCS), 3).ids)


@pytest.mark.parametrize("query", ["", "the", "zzz", "a"])
def test_documents_without_a_word_are_found_by_no_query_without_a_known_word(query):
    """bm25s gives an empty token to both, which they would share."""
    found = rank_texts(BM25(), ["red", query], corpus([*DOCS, "", "the", "b"]), 3)
    assert found.ids[1].tolist() == [-1, -1, -1]
    np.testing.assert_array_equal(found.ids[:1], rank_texts(BM25(), ["red"], corpus([*DOCS, "", "the", "b"]), 3).ids)


def test_no_query_with_a_known_word_at_all():
    assert (rank_texts(BM25(), ["zzz"], corpus(DOCS), 2).ids == -1).all()


def test_asking_for_more_than_the_corpus_pads():
    found = rank_texts(BM25(), ["red apple pear"], corpus(DOCS), 9)
    assert found.ids.shape == found.scores.shape == (1, 9)
    assert sorted(found.ids[0][found.ids[0] >= 0].tolist()) == [0, 1, 3, 5]


def test_the_stemmer_and_stop_words_follow_the_language():
    texts = corpus(["he runs", "la corsa", "the dog"])
    assert rank_texts(BM25(), ["running"], texts, 1).ids.tolist() == [[0]]
    assert rank_texts(BM25(language=None), ["running"], texts, 1).ids.tolist() == [[-1]]
    assert rank_texts(BM25(stopwords=None), ["the"], texts, 1).ids.tolist() == [[2]]


def test_parameters_are_part_of_its_identity():
    others = [{"k1": 1.3}, {"b": 0.7}, {"language": None}, {"tokens": "pairs"}]
    assert len({repr(BM25(**more).identity()) for more in ({}, *others)}) == 5


@pytest.mark.parametrize(
    "wrong", [{"k1": -1.0}, {"b": 1.5}, {"language": "klingon"}, {"stopwords": "fi"}, {"tokens": "words"}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError, match="BM25"):
        BM25(**wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("米云笔山。茶", ["米云", "云笔", "笔山", "茶"]),
        ("東京タワーへ行く", ["東京", "京タ", "タワ", "ワー", "ーへ", "へ行", "行く"]),
        ("iphone手机壳 15pro", ["iphone", "手机", "机壳", "15pro"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),  # Korean has blanks
        ("ครับ ผม", ["ครั", "รับ", "ผม"]),  # a vowel sign belongs to its consonant
        ("ດີລາ", ["ດີລ", "ລາ"]),
        ("ខ្មែរ", ["ខ្មែរ"]),  # two units: a stack of consonants is one
        ("हिन्दी में", ["हिन्दी", "में"]),  # \w would cut words at their vowel signs
        ("cafe\u0301 a été", ["café", "été"]),
        ("\uff21\uff22\uff23 ﾀﾜｰ", ["abc", "タワ", "ワー"]),  # wide and narrow forms
        ("red apple, x-ray y", ["red", "apple", "ray"]),
    ],
)
def test_texts_are_cut_by_script(text, expected):
    assert by_script(text.lower()) == expected


def test_where_every_word_has_blanks_both_ways_are_one():
    texts = [*DOCS, *QUERIES, "It's 3.5% of A_b-c ... über naïve Straße, привет мир"]
    assert [by_script(text.lower()) for text in texts] == [splitter("blanks")(text.lower()) for text in texts]


def test_pairs_in_every_script():
    assert pairs("abc 茶 ไทย, हिन्दी") == ["ab", "bc", "茶", "ไท", "ทย", "हिन्", "न्दी"]


HAN = ["笔山马田雨门", "窗茶石土面水", "桥牛猫笔狗金", "雨山船石鱼猫"]


def test_a_script_without_blanks_is_the_formula_over_pairs_of_characters():
    docs = [f"{text}是{other}。" for text, other in zip(HAN, reversed(HAN), strict=True)]
    found = rank_texts(BM25(language=None, stopwords=None), ["笔山马田", "茶石"], corpus(docs), 4)
    spaced = [" ".join(a + b for a, b in pairwise(doc.rstrip("。"))) for doc in docs]
    for query, ids, scores in zip(["笔山 山马 马田", "茶石"], found.ids, found.scores, strict=True):
        expected = formula(query, spaced, 1.2, 0.75)
        kept = ids >= 0
        assert set(ids[kept].tolist()) == set(np.flatnonzero(expected > 0).tolist()) != set()
        np.testing.assert_allclose(scores[kept], expected[ids[kept]], rtol=1e-5)
    assert (rank_texts(BM25(tokens="blanks"), ["笔山马田"], corpus(docs), 4).ids == -1).all(), (
        "a whole sentence is one word"
    )


def test_the_name_says_how_texts_are_cut(toy, tmp_path):
    settings = {"miner": "bm25", "bm25s": version("bm25s"), "k1": 1.2, "b": 0.75}
    settings |= {"language": "english", "stopwords": "en"}
    by_blanks = {**settings, "tokens": "blanks"}
    assert BM25().ready(toy, None, tmp_path).identity() == BM25(tokens="blanks").identity() == by_blanks
    han = make_data([(0, 0)], docs=HAN, queries=["笔山"])
    assert BM25().ready(han, None, tmp_path).identity() == {**settings, "tokens": "by_script"}
    assert BM25(tokens="pairs").ready(toy, None, tmp_path).identity() == {**settings, "tokens": "pairs"}
    asked = make_data([(0, 0)], docs=["phone"], queries=["phone手机"])
    assert BM25().ready(asked, None, tmp_path).tokens == "by_script", "queries count too"


def test_an_encoders_tokens(tmp_path):
    words = Tokenizer(WordPiece({"[UNK]": 0, "手": 1, "##机": 2, "##壳": 3, "phone": 4}, unk_token="[UNK]"))
    words.pre_tokenizer = BertPreTokenizer()
    words.save(str(tmp_path / "tokenizer.json"))
    by_folder, by_file = BM25(tokens=str(tmp_path)), BM25(tokens=f"{tmp_path}/tokenizer.json")
    assert by_folder.identity() == by_file.identity()
    texts = corpus(["phone", "手机壳", "the"])
    assert rank_texts(by_folder, ["手壳"], texts, 2).ids.tolist() == [[1, -1]] and "手机壳" not in by_script("手壳")
    assert rank_texts(by_folder, ["phone"], texts, 2).ids.tolist() == [[0, -1]]


def test_a_baseline_that_finds_nothing_names_the_cause(tmp_path, caplog):
    data = make_data([(0, 0)], docs=[f"{text}。" for text in HAN], queries=["笔山是"], test=[(0, 0)])
    cfg = OmegaConf.create({"cache": str(tmp_path), "evaluate": {"depth": 4, "metrics": ["ndcg@3"]}})
    for tokens, expected in (("auto", 1.0), ("blanks", 0.0)):
        cfg.evaluate.bm25 = {"_target_": "hardneg.mining.bm25.BM25", "tokens": tokens}
        assert "share no token" not in caplog.text
        assert baseline_metrics(cfg, data, "test", None)["BM25"]["ndcg@3"].tolist() == [expected]
    assert "BM25 finds no document for 100.0% of the test queries: they share no token" in caplog.text
    assert "tokens=by_script" in caplog.text
