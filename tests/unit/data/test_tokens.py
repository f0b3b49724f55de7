"""Token tables: what a text becomes, made once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hardneg.data import tokens
from hardneg.data.tokens import Side, TokenTable
from hardneg.data.truncation import Truncation
from hardneg.errors import ConfigError
from hardneg.testing.synthetic import make_texts

WORDS = {"[PAD]": 0, "[UNK]": 1, "query": 2, ":": 3, "red": 4, "green": 5, "blue": 6}


def tokenizer(words=WORDS, unknown="[UNK]"):
    made = Tokenizer(models.WordLevel(words, unk_token=unknown) if unknown else models.BPE(words, []))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made


def build(cache, texts=("red green blue", "red"), side=None, words=None):
    return TokenTable.build(make_texts(texts), words or tokenizer(), side or Side(), cache, "texts")


def ids(table, rows):
    return table.batch(np.array(rows)).input_ids.tolist()


def test_rows_are_padded_to_the_longest_of_the_batch(tmp_path):
    table = build(tmp_path)
    batch = table.batch(np.array([1, 0]))
    assert len(table) == 2 and table.lengths.tolist() == [3, 1]
    assert batch.input_ids.tolist() == [[4, 0, 0], [4, 5, 6]]
    assert batch.attention_mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.lengths.tolist() == [1, 3]
    assert ids(table, [1]) == [[4]]


def test_the_prompt_stands_in_front_and_counts_towards_the_length(tmp_path):
    assert ids(build(tmp_path, side=Side("query: ", 4)), [0, 1]) == [[2, 3, 4, 5], [2, 3, 4, 0]]


def test_a_row_of_minus_one_is_one_padding_token(tmp_path):
    batch = build(tmp_path).batch(np.array([-1, 1, -1]))
    assert batch.input_ids.tolist() == [[0], [4], [0]] and batch.lengths.tolist() == [1, 1, 1]
    assert ids(build(tmp_path), [-1]) == [[0]]


@pytest.mark.parametrize("unknown", ["[UNK]", None])
def test_a_text_without_any_token_still_has_a_row(unknown, tmp_path):
    table = build(tmp_path, ["", "red", "  "], words=tokenizer(WORDS | {"r": 7}, unknown))
    assert (table.lengths >= 1).all()
    assert table.batch(np.array([0, 2])).attention_mask.any(dim=1).all()


def test_blocks_do_not_show(tmp_path, monkeypatch):
    texts = [" ".join(["red", "blue", "green"][: 1 + i % 3]) for i in range(11)]
    whole = ids(build(tmp_path / "a", texts), range(11))
    monkeypatch.setattr(tokens, "BLOCK", 4)
    assert ids(build(tmp_path / "b", texts), range(11)) == whole


def test_the_same_table_is_made_once(tmp_path, monkeypatch):
    build(tmp_path)
    monkeypatch.setattr(tokens, "_tokenise", lambda *args: pytest.fail("tokenised again"))
    assert ids(build(tmp_path), [1]) == [[4]]


@pytest.mark.parametrize(
    "change",
    [
        {"side": Side("query: ")},
        {"side": Side(max_length=64)},
        {"texts": ("red green blue", "blue")},
        {"words": tokenizer({**WORDS, "pink": 7})},
    ],
    ids=["prompt", "length", "texts", "tokenizer"],
)
def test_whatever_decides_the_tokens_is_in_the_name(change, tmp_path):
    build(tmp_path)
    build(tmp_path, **change)
    assert len([path for path in (tmp_path / "tokens").iterdir() if path.is_dir()]) == 2


def test_the_callers_tokenizer_stays_as_it_was(tmp_path):
    words = tokenizer()
    before = words.to_str()
    build(tmp_path, side=Side(max_length=2), words=words)
    assert words.to_str() == before


def test_a_pickled_table_carries_a_path_and_not_the_tokens(tmp_path):
    table = build(tmp_path, ["red green blue"] * 5000)
    assert ids(table, [4999]) == [[4, 5, 6]]  # opened
    assert len(pickle.dumps(table._ids)) < 500
    assert ids(pickle.loads(pickle.dumps(table)), [4999]) == [[4, 5, 6]]


def test_a_length_below_two_is_refused():
    with pytest.raises(ConfigError, match="at least 2"):
        Side(max_length=1)


def test_what_is_cut_is_told_each_time_a_table_is_opened(tmp_path, caplog):
    texts = ["red " * 3, "red " * 4, "red " * 30]  # of 4, 5 and 31 tokens with the prompt's one
    side = Side("red ", 5)
    for _ in range(2):  # made, and found made
        caplog.clear()
        with caplog.at_level("INFO"):
            build(tmp_path, texts, side)
        (said,) = [record.message for record in caplog.records if "are cut" in record.message]
        # (4 + 5 + 31) / 3 before, (4 + 5 + 5) / 3 after
        assert said == (
            "texts: 1 of 3 (33.3%) are cut at max_length=5 tokens; all have 13.3 tokens each before cutting, 4.7 after"
        )


def test_nothing_is_said_where_nothing_is_cut(tmp_path, caplog):
    with caplog.at_level("INFO"):
        build(tmp_path, ["red " * 5], Side("", 5))
    assert not [record for record in caplog.records if "are cut" in record.message]


@pytest.mark.parametrize(("texts", "told"), [(100, True), (101, False)])
def test_nothing_is_said_where_less_than_a_hundredth_is_cut(tmp_path, caplog, texts, told):
    with caplog.at_level("INFO"):
        build(tmp_path, ["red " * 5] * (texts - 1) + ["red " * 6], Side("", 5))
    assert any("(1.0%) are cut" in record.message for record in caplog.records) is told


def test_tokens_are_counted_before_the_cut_as_a_tokenizer_without_one_counts_them(toy):
    """With special tokens on both ends, against the same tokenizer without truncation."""
    special = tokenizer(WORDS | {"[CLS]": 7, "[SEP]": 8})
    special.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 7), ("[SEP]", 8)])
    texts = ["", "red", *(("red green blue " * n) for n in range(1, 9))]
    cut = Truncation(7)
    kept = tokens.Tokeniser(special, Side("query : ", 7))(texts, None, cut)
    special.no_padding()
    whole = [len(special.encode("query : " + text)) for text in texts]
    assert (cut.before, cut.after) == (sum(whole), sum(len(ids) for ids in kept))
    assert (cut.texts, cut.cut) == (len(texts), sum(n > 7 for n in whole))
