"""Length: texts that are too short to mean anything, or longer than an encoder is meant to read."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool, Float32

from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import UNCUT, Side, Tokeniser
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.pairs.base import SIDES, PairFilter, Pairs

UNITS = ("characters", "words", "tokens")


class Length(PairFilter):
    """Keep a pair whose texts are as long as `query` and `document` say: {min, max} of each, null: no bound.

    `unit` is characters, words (what stands between blanks) or tokens of `encoder`, without prompts and special tokens.
    Raises `ConfigError` for bounds that bound nothing or exclude each other, and for tokens of no encoder.
    """

    def __init__(
        self,
        query: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
        unit: str = "characters",
        encoder: EncoderRecipe | None = None,
    ) -> None:
        if unit not in UNITS:
            raise ConfigError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
        if (unit == "tokens") != (encoder is not None):
            raise ConfigError("unit=tokens and encoder go together, as in +encoder@pairs.length.encoder=minilm")
        self.bounds = {side: _bounds(side, given or {}) for side, given in zip(SIDES, (query, document), strict=True)}
        if all(bound is None for bounds in self.bounds.values() for bound in bounds):
            raise ConfigError("it bounds nothing; give query.min, query.max, document.min or document.max")
        self.unit, self._recipe = unit, encoder
        self._tokeniser: Tokeniser | None = None
        self._tokens: str | None = None

    def ready(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Open the encoder's tokenizer."""
        if self._recipe is not None:
            tokenizer = self._recipe.resolved().tokenizer(data.corpus, data.queries)
            self._tokens = blake2b(tokenizer.to_str().encode(), digest_size=12).hexdigest()
            self._tokeniser = Tokeniser(tokenizer, Side("", UNCUT))
            self._special = tokenizer.num_special_tokens_to_add(is_pair=False)

    def measured_by(self) -> dict[str, Any]:
        """The unit, and whose tokens."""
        return {"measure": "Length", "unit": self.unit, "tokenizer": self._tokens}

    def limits(self) -> dict[str, Any]:
        """The bounds of either side."""
        return {side: list(bounds) for side, bounds in self.bounds.items()}

    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n 2"]:
        """Return the length of each query and of each document."""
        return np.stack([self._lengths(pairs.texts(side)) for side in SIDES], axis=1).astype(np.float32)

    def _lengths(self, texts: list[str]) -> np.ndarray:
        if self._tokeniser is not None:
            return np.array([len(ids) - self._special for ids in self._tokeniser(texts)])
        column = pa.array(texts, pa.large_string())
        if self.unit == "words":
            return pa.compute.count_substring_regex(column, r"\S+").to_numpy()
        return pa.compute.utf8_length(pa.compute.utf8_trim_whitespace(column)).to_numpy()

    def keep(self, values: Float32[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Return True where both texts are within their bounds."""
        keep = np.ones(len(values), bool)
        for lengths, (low, high) in zip(values.T, self.bounds.values(), strict=True):
            keep &= (lengths >= (low or 0)) & (lengths <= (np.inf if high is None else high))
        return keep

    def told(self, values: Float32[np.ndarray, " 2"]) -> str:
        """Say both lengths."""
        return f"{values[0]:.0f} and {values[1]:.0f} {self.unit}"


def _bounds(side: str, given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    if unknown := set(given) - {"min", "max"}:
        raise ConfigError(f"{side} has min and max, not {', '.join(sorted(unknown))}")
    low, high = given.get("min"), given.get("max")
    for key, value in (("min", low), ("max", high)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise ConfigError(f"{side}.{key}={value!r} must be a whole number, 0 or more, or null")
    if low is not None and high is not None and low > high:
        raise ConfigError(f"{side}.min={low} is above {side}.max={high}")
    return low, high
