"""How BM25 cuts texts into tokens: by blanks, and by pairs of characters in scripts that have none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
from tokenizers import Tokenizer

from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError

# Han with its iteration mark, Kana, Bopomofo, Yi: every character is a unit. Korean (Hangul) writes blanks.
CHARACTERS = "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
CHARACTERS += "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uf900-\ufaff\U00020000-\U000323af"
# Thai, Lao, Myanmar, Khmer: a letter with the signs above, below and around it is a unit.
LETTERS = "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e50-\u0e59\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd\u0ec0-\u0ec6\u0ed0-\u0edf"
LETTERS += "\u1000-\u102a\u103f-\u1049\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"
LETTERS += "\u1780-\u17b3\u17d7\u17dc\u17e0-\u17e9"
SIGNS = "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060"
SIGNS += "\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u17b4-\u17d1\u17d3\u17dd"
BELOW = "\u17d2[\u1780-\u17b3]"  # Khmer: a consonant written under another
# Signs that belong to a word although \w leaves them out: accents apart, Hebrew, Arabic, India's scripts, Tibetan.
JOINED = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
JOINED += "\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963\u0966-\u0dff\u0f18\u0f19\u0f71-\u0f84\u0f8d-\u0fbc"
JOINERS = "\u200c\u200d"  # within words of Persian and India's scripts; emoji have them too

WITHOUT_BLANKS = CHARACTERS + LETTERS + SIGNS
WORD = rf"(?:(?![{WITHOUT_BLANKS}])[\w{JOINED}{JOINERS}])+"
RUN = re.compile(rf"(?P<run>(?:[{WITHOUT_BLANKS}]|{BELOW})+)|(?P<word>{WORD})")
UNIT = re.compile(rf"(?:[{LETTERS}](?:[{SIGNS}]|{BELOW})*)|.", re.DOTALL)
BLANKS = re.compile(r"(?u)\b\w\w+\b")  # as bm25s and scikit-learn: words of two letters or more

CHOICES = ("auto", "blanks", "by_script", "pairs")
Splitter = Callable[[str], list[str]]


def check_tokens(tokens: str) -> None:
    """Raise `ConfigError` unless it is a way to cut texts, or where a tokenizer is."""
    if tokens not in CHOICES and not tokenizer_file(tokens).is_file():
        raise ConfigError(
            f"BM25 has no tokens={tokens}; choose from {', '.join(CHOICES)}, or give a tokenizer.json, or the folder of"
            " a model that has one"
        )


def tokenizer_file(tokens: str) -> Path:
    """Where the tokenizer is that `tokens` names, a file or the folder of a model."""
    path = Path(tokens).expanduser()
    return path / "tokenizer.json" if path.is_dir() else path


def resolved(tokens: str, data: RetrievalData) -> str:
    """Return what `auto` means for these texts: `by_script` where one of them is in a script without blanks."""
    if tokens != "auto":
        return tokens
    special = f"[{WITHOUT_BLANKS}{JOINED}]"
    for texts in (data.corpus.texts, data.queries.texts):
        if pa.compute.any(pa.compute.match_substring_regex(texts, special)).as_py():
            return "by_script"
    return "blanks"


def name_of(tokens: str) -> str:
    """Name the tokens by what decides them: of a tokenizer its content, not where it lies."""
    if tokens in CHOICES:
        return tokens
    return blake2b(tokenizer_file(tokens).read_bytes(), digest_size=16).hexdigest()


def are_words(tokens: str) -> bool:
    """Whether tokens are words, as a language's stemmer and stop words need; an encoder's tokens are not."""
    return tokens in CHOICES


def splitter(tokens: str) -> Splitter:
    """Return what cuts a text that is in lower case already."""
    if tokens == "blanks":
        return BLANKS.findall
    if tokens in CHOICES:
        return pairs if tokens == "pairs" else by_script
    tokenizer = Tokenizer.from_file(str(tokenizer_file(tokens)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).tokens


def by_script(text: str) -> list[str]:
    """Cut words at blanks and signs, and runs of a script without blanks into overlapping pairs of characters.

    As Lucene's CJKAnalyzer does: a character that stands alone is a token of its own. Wide and narrow forms are equal
    (NFKC). Words of one letter are left out, as with blanks.
    """
    found: list[str] = []
    for match in RUN.finditer(unicodedata.normalize("NFKC", text)):
        if run := match["run"]:
            found += _paired(UNIT.findall(run))
        elif len(match["word"]) > 1:
            found.append(match["word"])
    return found


def pairs(text: str) -> list[str]:
    """Cut every word, of whatever script, into overlapping pairs of characters."""
    words = RUN.finditer(unicodedata.normalize("NFKC", text))
    return [token for word in words for token in _paired(_characters(word[0]))]


def _characters(word: str) -> list[str]:
    """Cut a word into characters, each with its signs."""
    found: list[str] = []
    for character in word:
        if found and (unicodedata.category(character) in ("Mn", "Mc") or found[-1].endswith("\u17d2")):
            found[-1] += character
        elif character not in JOINERS:
            found.append(character)
    return found


def _paired(units: list[str]) -> list[str]:
    return [one + other for one, other in pairwise(units)] if len(units) > 1 else units
