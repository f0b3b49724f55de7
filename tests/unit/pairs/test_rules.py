"""Pair filters of texts: what each measures and keeps, against values written out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError, UserError
from hardneg.pairs import language
from hardneg.pairs.base import Pairs
from hardneg.pairs.consistency import Consistency
from hardneg.pairs.duplicates import Duplicates
from hardneg.pairs.language import Language
from hardneg.pairs.length import Length
from hardneg.pairs.score import Score
from hardneg.testing.synthetic import make_data


def pairs_of(*texts):
    """One pair for each (query, document)."""
    queries, docs = zip(*texts, strict=True)
    data = make_data([(row, row) for row in range(len(texts))], docs=docs, queries=queries)
    return Pairs.of(TrainingSet(data))


def kept(rule, pairs, tmp_path):
    rule.ready(pairs.data, tmp_path)
    rule.open(pairs, tmp_path)
    return rule.keep(rule.measure(pairs)).tolist()


def test_length_counts_characters_without_blanks_around_them_and_both_bounds_are_kept(tmp_path):
    pairs = pairs_of(("abc", "d" * 5), (" ab ", "d" * 5), ("abcd", "d" * 9), ("äöü", "d" * 4))
    rule = Length({"min": 3}, {"min": 4, "max": 8})
    np.testing.assert_array_equal(rule.measure(pairs), [[3, 5], [2, 5], [4, 9], [3, 4]])
    assert kept(rule, pairs, tmp_path) == [True, False, False, True]
    assert rule.told(rule.measure(pairs)[1]) == "2 and 5 characters"


def test_length_counts_words_and_tokens_of_an_encoder(tmp_path):
    pairs = pairs_of(("one two", "a  b\nc"), ("one", "a b"))
    assert Length({"min": 1}, unit="words").measure(pairs).tolist() == [[2, 3], [1, 2]]
    recipe = Static(dim=4, vocab_size=100)
    rule = Length({"min": 1}, unit="tokens", encoder=recipe)
    rule.ready(pairs.data, tmp_path)
    tokenizer = recipe.tokenizer(pairs.data.corpus, pairs.data.queries)
    wanted = [[len(tokenizer.encode(text).ids) for text in texts] for texts in (("one two", "a  b\nc"), ("one", "a b"))]
    assert rule.measure(pairs).tolist() == wanted
    assert rule.measured_by()["tokenizer"]


def test_duplicates_keep_the_first_of_pairs_that_differ_in_case_width_and_signs(tmp_path):
    pairs = pairs_of(("What?", "It is."), ("what", "IT IS"), ("what", "other"), ("\uff37hat!", "it-is"), ("++", "--"))
    assert kept(Duplicates(), pairs, tmp_path) == [True, False, True, False, True]
    assert kept(Duplicates(texts="exact"), pairs, tmp_path) == [True] * 5
    assert kept(Duplicates(by="query"), pairs, tmp_path) == [True, False, False, False, True]
    assert kept(Duplicates(by="document"), pairs, tmp_path) == [True, False, True, False, True]


def test_duplicates_tell_words_apart_by_their_vowel_signs(tmp_path):
    """Day, poor and gift have the same letters in Hindi. The signs are marks, as is what makes an emoji coloured."""
    pairs = pairs_of(("\u0926\u093f\u0928", "day"), ("\u0926\u0940\u0928", "poor"), ("\u0926\u093e\u0928", "gift"))
    assert kept(Duplicates(by="query"), pairs, tmp_path) == [True] * 3
    pairs = pairs_of(("\u0926\u093f\u0928", "\u0926\u0940\u0928"), ("\u2764\ufe0f", "a"), ("\u2600\ufe0f", "b"))
    assert kept(Duplicates(by="query"), pairs, tmp_path) == [True] * 3
    pairs = pairs_of(("Caf\u00e9", "a"), ("cafe\u0301!", "b"), ("\ufe0fcaf\u00e9", "c"), ("- cafe", "d"))
    assert kept(Duplicates(by="query"), pairs, tmp_path) == [True, False, False, True]


def test_duplicates_drop_a_query_that_is_its_document(tmp_path):
    pairs = pairs_of(("Title", "title."), ("Title", "a text"))
    assert kept(Duplicates(), pairs, tmp_path) == [False, True]
    assert kept(Duplicates(echoes=True), pairs, tmp_path) == [True, True]
    assert Duplicates().told(np.array([0, 1], np.float32)) == "the query is the document"


def test_duplicates_look_among_the_pairs_they_are_opened_for_alone(tmp_path):
    pairs = pairs_of(("a", "x"), ("A", "x."), ("a!", "x?"))
    rest = pairs.take(np.array([1, 2]))
    assert kept(Duplicates(), rest, tmp_path) == [True, False]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.9])
def test_language_keeps_exactly_the_least_share(share, tmp_path):
    latin = round(10 * share)
    pairs = pairs_of(("a" * latin + "д" * (10 - latin), "x"))
    assert kept(Language(scripts=["Latin"], letters=share, sides=["query"]), pairs, tmp_path) == [True]


def test_language_counts_letters_by_script_and_knows_nothing_of_none(tmp_path):
    pairs = pairs_of(("abcд", "слово"), ("123", "\uff21\uff22"))
    rule = Language(scripts=["Latin"], sides=["query"])
    np.testing.assert_array_equal(rule.measure(pairs)[:, [0, 2]], np.array([[0.75, 0], [np.nan, 1]], np.float32))
    assert kept(rule, pairs, tmp_path) == [True, True]
    both = Language(scripts=["Latin"])
    assert kept(both, pairs, tmp_path) == [False, True]
    assert both.told(both.measure(pairs)[0]) == "document: 0% Latin"


def test_language_adds_the_probabilities_of_the_languages_that_are_wanted(tmp_path):
    pytest.importorskip("py3langid")
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    english, german = "where is the nearest railway station", "wo ist der nächste Bahnhof in dieser Stadt"
    pairs = pairs_of((english, german), (german, english))
    rule = Language(languages=["en", "fr"], sides=["document"])
    other = dict(LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).rank(german))
    assert rule.measure(pairs)[0, 3] == pytest.approx(other["en"] + other["fr"], rel=1e-5)
    assert kept(rule, pairs, tmp_path) == [False, True]


def test_without_py3langid_languages_say_what_to_install(monkeypatch):
    monkeypatch.setattr(language, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install 'hardneg[language]'")):
        Language(languages=["en"])
    Language(scripts=["Han"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Length(), "it bounds nothing"),
        (lambda: Length({"least": 3}), "query has min and max, not least"),
        (lambda: Length({"min": 3, "max": 2}), "query.min=3 is above query.max=2"),
        (lambda: Length(document={"max": 1.5}), "document.max=1.5 must be a whole number"),
        (lambda: Length({"min": 3}, unit="bytes"), "unit must be one of characters, words, tokens"),
        (lambda: Length({"min": 3}, unit="tokens"), "unit=tokens and encoder go together"),
        (lambda: Duplicates(texts="like"), "texts must be one of normalised, exact"),
        (lambda: Duplicates(by="all"), "by must be one of pair, query, document"),
        (lambda: Language(), "it asks for nothing"),
        (lambda: Language(scripts=["latin"]), "there is no 'latin'; there are Arabic"),
        (lambda: Language(scripts=["Latin"], sides=["title"]), "must name query or document, or both"),
        (lambda: Language(scripts=["Latin"], letters=2), "letters=2 must be from 0 to 1"),
        (lambda: Consistency(encoder=None), "+encoder@pairs.consistency.encoder=minilm"),
        (lambda: Consistency(top=0, encoder=Static()), "top=0 must be a whole number, 1 or more"),
        (lambda: Consistency(top=9, sample=8, encoder=Static()), "top=9 of sample=8 documents keeps"),
        (lambda: Score(encoder=None), "+encoder@pairs.score.encoder=minilm"),
        (lambda: Score(low=None, encoder=Static()), "it needs low, high or both"),
        (lambda: Score(low=0.9, high=0.1, encoder=Static()), "low=0.9 is above high=0.1"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        make()
