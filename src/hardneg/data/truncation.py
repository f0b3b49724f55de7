"""What a longest length takes away from texts: how many are cut, and how long they were."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

WORTH_TELLING = 0.01  # the share of texts from which on it is said that they are cut


@dataclass
class Truncation:
    """Counts texts, in tokens with their prompt: those that are cut at `limit`, and all tokens before and after."""

    limit: int
    texts: int = 0
    cut: int = 0
    before: int = 0
    after: int = 0

    def add(self, kept: int, whole: int) -> None:
        """Count a text of which `kept` of `whole` tokens are left."""
        self.texts += 1
        self.cut += whole > kept
        self.before += whole
        self.after += kept

    def add_all(self, kept: Int64[np.ndarray, " n"], whole: Int64[np.ndarray, " n"]) -> None:
        """Count texts by how many of their tokens are left."""
        self.texts += len(kept)
        self.cut += int((whole > kept).sum())
        self.before += int(whole.sum())
        self.after += int(kept.sum())

    def told(self, what: str, key: str) -> str | None:
        """Say what was cut, naming the setting that decides it; None where that is nothing, or too little to matter."""
        if not self.cut or self.cut < WORTH_TELLING * self.texts:
            return None
        share, before, after = self.cut / self.texts, self.before / self.texts, self.after / self.texts
        return (
            f"{what}: {self.cut:,} of {self.texts:,} ({share:.1%}) are cut at {key}={self.limit} tokens; all have"
            f" {before:.1f} tokens each before cutting, {after:.1f} after"
        )

    def in_short(self, what: str, key: str) -> str:
        """Say the share that was cut, and the setting that decides it."""
        return f"{what}: {self.cut / self.texts:.1%} are cut at {key}={self.limit} tokens"

    def write(self, path: Path) -> None:
        """Keep it beside the tokens."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Truncation:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
