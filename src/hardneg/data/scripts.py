"""Which scripts a text is written in, letter by letter."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

# How the Unicode names of characters begin, and their script.
SCRIPTS = {"CJK": "Han", "HIRAGANA": "Hiragana", "KATAKANA": "Katakana", "HANGUL": "Hangul"}
SCRIPTS |= {
    name.upper(): name
    for name in (
        *("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Telugu", "Kannada"),
        *("Malayalam", "Gujarati", "Gurmukhi", "Oriya", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"),
        *("Georgian", "Armenian", "Ethiopic", "Mongolian", "Cherokee", "Bopomofo", "Yi"),
    )
}


def scripts(texts: list[str]) -> dict[str, float]:
    """Return the share of letters of each script, the largest first; wide and narrow forms are one (NFKC)."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(unicodedata.normalize("NFKC", text))
    found: Counter[str] = Counter()
    for character, times in characters.items():
        if character.isalpha():
            found[script_of(character)] += times
    total = found.total()
    return {name: times / total for name, times in found.most_common()}


@lru_cache(maxsize=100_000)
def script_of(letter: str) -> str:
    """Name a letter's script, by the letter's name."""
    return SCRIPTS.get(unicodedata.name(letter, "other").split(" ")[0].split("-")[0], "other")
