"""Tokens made of the tokens of words, held against the tokenizers library, which takes whole texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from hardneg.data import word_by_word
from hardneg.data.tables import Texts
from hardneg.data.tokens import BLOCK, Side, TokenTable
from hardneg.data.word_by_word import WordByWord

# Whatever a word can be made of: accents in one character and in two, blanks of other kinds, controls, Han, emoji.
LETTERS = [
    "a",
    "B",
    "c",
    "é",
    "e\u0301",
    "İ",
    "ß",
    "Σ",
    "字",
    "漢",
    "-",
    "'",
    "[UNK]",
    "[CLS]",
    "[",
    "\t",
    "\n",
    "\u00a0",
]
LETTERS += ["\u3000", "\u0000", "\u200b", "😀", "1", "the", "ing", ".", "\u0301"]


def texts(count=400, seed=0):
    """Texts of random letters and blanks, several blanks in a row, at the ends, and none at all."""
    rng = np.random.default_rng(seed)
    made = ["", " ", "  ", "a", " a ", "the the  the"]
    for _ in range(count):
        letters = rng.choice([*LETTERS, *[" "] * 12], int(rng.integers(0, 60)))
        made.append("".join(letters))
    return made


def bpe():
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    made.train_from_iterator([text.replace("😀", "") for text in texts()], trainer)
    return made


def word_piece():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "##ing", "a", "b", "##b", "##a", "e", "##e", "1", "字", "-"]
    made = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens([AddedToken(word, normalized=False) for word in words[:4]])
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made


def knows_two_letters():
    """Without a token for what is unknown: many texts have none at all."""
    made = Tokenizer(models.BPE({"a": 5, "the": 6, "t": 7, "h": 8, "e": 9, "th": 10}, [("t", "h"), ("th", "e")]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


@pytest.mark.parametrize("longest", [2, 3, 8, 1000])
@pytest.mark.parametrize("make", [bpe, word_piece, knows_two_letters])
def test_tokens_lengths_and_what_is_cut_are_those_of_whole_texts(make, longest):
    tokenizer, asked = make(), texts()
    flat, lengths, whole = WordByWord(tokenizer, longest)(pa.array(asked, pa.large_string()))
    reference = [one.ids for one in tokenizer.encode_batch(asked)]
    assert whole.tolist() == [max(len(ids), 1) for ids in reference]
    tokenizer.enable_truncation(longest)
    expected = [one.ids or [0] for one in tokenizer.encode_batch(asked)]
    assert lengths.tolist() == [len(ids) for ids in expected]
    assert flat.tolist() == [token for ids in expected for token in ids]


def test_a_word_is_tokenised_once_and_again_only_when_too_many_were_seen(monkeypatch):
    tokenizer, asked = bpe(), pa.array(texts(), pa.large_string())
    by_words = WordByWord(tokenizer, 8)
    first = by_words(asked)
    known = len(by_words._ids)
    again = by_words(asked)
    assert len(by_words._ids) == known
    monkeypatch.setattr(word_by_word, "HELD_WORDS", 3)
    for found in (again, by_words(asked), by_words(asked.slice(7, 20))):
        assert found[0].tolist() == (first[0].tolist() if len(found[1]) == len(asked) else found[0].tolist())
    assert len(by_words._number) < known, "it has begun anew"


def odd(change):
    made = bpe()
    change(made)
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda made: setattr(made, "normalizer", normalizers.Replace("a b", "c")),
        lambda made: setattr(made, "normalizer", normalizers.Sequence([normalizers.Lowercase(), normalizers.Strip()])),
        lambda made: setattr(made, "pre_tokenizer", pre_tokenizers.ByteLevel()),
        lambda made: setattr(made, "pre_tokenizer", pre_tokenizers.Metaspace()),
        lambda made: setattr(made.model, "dropout", 0.1),
        lambda made: made.add_tokens(["new york"]),
        lambda made: made.add_tokens([AddedToken("<mask>", lstrip=True)]),
    ],
    ids=["replace", "strip", "bytes", "metaspace", "dropout", "two words", "takes blanks"],
)
def test_what_looks_beyond_a_blank_is_tokenised_as_a_whole(change):
    assert WordByWord.suits(bpe())
    assert not WordByWord.suits(odd(change))


def test_a_model_without_words_to_look_at_does_not_suit():
    assert not WordByWord.suits(Tokenizer(models.Unigram([("a", 0.0), ("b", -1.0)], 0, False)))


def test_a_table_with_prompts_of_some_rows_is_that_of_texts_with_them_in_front(tmp_path):
    tokenizer, asked = word_piece(), texts(40)
    held = Texts.of(map(str, range(len(asked))), asked)
    prompts = [(range(3, 20), "the a: ")]
    table = TokenTable.build(held, tokenizer, Side("a ", 6), tmp_path, "queries", prompts)
    tokenizer.enable_truncation(6)
    fronts = ["the a: " if 3 <= row < 20 else "a " for row in range(len(asked))]
    expected = [one.ids for one in tokenizer.encode_batch([p + text for p, text in zip(fronts, asked, strict=True)])]
    batch = table.batch(np.arange(len(asked)))
    rows = [row[kept].tolist() for row, kept in zip(batch.input_ids, batch.attention_mask, strict=True)]
    assert rows == expected and len(asked) < BLOCK
