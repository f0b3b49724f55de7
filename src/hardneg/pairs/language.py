"""Language: texts in other scripts or languages than those that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from hardneg.data.scripts import SCRIPTS, scripts
from hardneg.errors import ConfigError, UserError
from hardneg.pairs.base import SIDES, PairFilter, Pairs


class Language(PairFilter):
    """Keep a pair whose texts are written in these `scripts` and in these `languages`; null: in any.

    Of a text's letters at least `letters` must be of the scripts (Unicode's names, as Latin, Han). The `languages` (ISO
    639 codes, as en) must have at least `probability` together, by py3langid: of short texts it knows little, so leave
    queries out by `sides=[document]` where they are titles. A text without letters is kept. Raises `ConfigError` for
    unknown names, and for no rule; `UserError` where py3langid is not installed.
    """

    def __init__(
        self,
        scripts: Sequence[str] | None = None,
        languages: Sequence[str] | None = None,
        letters: float | int = 0.5,
        probability: float | int = 0.2,
        sides: Sequence[str] = SIDES,
    ) -> None:
        if not scripts and not languages:
            raise ConfigError("it asks for nothing; give scripts, as [Latin], languages, as [en], or both")
        known = sorted(set(SCRIPTS.values()))
        if unknown := [name for name in scripts or () if name not in known]:
            raise ConfigError(f"scripts: there is no {unknown[0]!r}; there are {', '.join(known)}")
        if not sides or set(sides) - set(SIDES):
            raise ConfigError(f"sides={list(sides)} must name {' or '.join(SIDES)}, or both")
        for key, share in (("letters", letters), ("probability", probability)):
            if not 0 <= share <= 1:
                raise ConfigError(f"{key}={share} must be from 0 to 1")
        if languages and find_spec("py3langid") is None:
            raise UserError("languages needs py3langid: pip install 'hardneg[language]'; scripts needs nothing")
        self.scripts, self.languages = sorted(scripts or ()), sorted(languages or ())
        self.least = (letters, probability)
        self.sides = [side for side in SIDES if side in sides]
        if self.languages and (unknown := [code for code in self.languages if code not in self._identifier.labels]):
            raise ConfigError(
                f"languages: py3langid knows no {unknown[0]!r}; it knows {', '.join(self._identifier.labels)}"
            )

    @cached_property
    def _identifier(self) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def measured_by(self) -> dict[str, Any]:
        """The scripts and languages, and the version of what tells languages."""
        from importlib.metadata import version

        by = version("py3langid") if self.languages else None
        return {"measure": "Language", "scripts": self.scripts, "languages": self.languages, "py3langid": by}

    def limits(self) -> dict[str, Any]:
        """The least shares, and of which sides."""
        return {"letters": self.least[0], "probability": self.least[1], "sides": self.sides}

    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n 4"]:
        """Return the share of letters and the probability of each query, then of each document; NaN where unknown."""
        return np.concatenate([np.stack(list(map(self._of, pairs.texts(side)))) for side in SIDES], axis=1)

    def _of(self, text: str) -> Float32[np.ndarray, " 2"]:
        found = scripts([text])
        values = np.full(2, np.nan, np.float32)
        if found and self.scripts:
            values[0] = sum(found.get(name, 0.0) for name in self.scripts)
        if found and self.languages:
            ranked = dict(self._identifier.rank(text))
            values[1] = sum(ranked[code] for code in self.languages)
        return values

    def keep(self, values: Float32[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
        """Return True where all known shares of the sides are high enough."""
        keep = np.ones(len(values), bool)
        least = np.array(self.least, np.float32)  # as values are: 0.9 is more in double precision
        for side in self.sides:
            place = 2 * SIDES.index(side)
            keep &= ~(values[:, place : place + 2] < least).any(axis=1)
        return keep

    def told(self, values: Float32[np.ndarray, " 4"]) -> str:
        """Say what was too little, of which side."""
        said = []
        for side in self.sides:
            letters, probability = values[2 * SIDES.index(side) :][:2]
            if letters < self.least[0]:
                said.append(f"{side}: {letters:.0%} {'+'.join(self.scripts)}")
            if probability < self.least[1]:
                said.append(f"{side}: {'+'.join(self.languages)} {probability:.2f}")
        return ", ".join(said)
