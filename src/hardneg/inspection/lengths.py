"""How long texts are in an encoder's tokens, and what each usual length would cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from hardneg.data.tables import RetrievalData, Texts
from hardneg.data.tokens import BLOCK, UNCUT, Side, Tokeniser
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.system.progress import progress

USUAL = (32, 64, 128, 256, 512)
FEW = 0.05  # share of texts that a fitting length may cut


def lengths(data: RetrievalData, recipe: EncoderRecipe, most: int) -> dict[str, Any]:
    """Measure queries and documents, prompts and special tokens included; of many only a sample, drawn evenly.

    An encoder that trains a tokenizer of its own trains it on the documents that are measured.
    """
    recipe = recipe.resolved()
    queries, docs = sampled(data.queries, most), sampled(data.corpus, most)
    tokenizer = recipe.tokenizer(docs, queries)
    prompt = recipe.query.prompt if data.query_prompt is None else data.query_prompt
    sides = {"query": (queries, data.queries, prompt), "document": (docs, data.corpus, recipe.document.prompt)}
    longest = _positions(recipe)
    found: dict[str, Any] = {}
    for side, (texts, whole, before) in sides.items():
        counts = _measure(texts, Tokeniser(tokenizer, Side(before, UNCUT)), side)
        own = getattr(recipe, side).longest
        found[side] = {
            "measured": len(texts),
            "of": len(whole),
            **_told(counts),
            "max_length": own,
            "cut_at_max_length": _cut(counts, own),
            "cut": {str(at): _cut(counts, at) for at in USUAL},
            "fits": fitting(counts, longest),
        }
    return found


def sampled(texts: Texts, most: int) -> Texts:
    """Return at most a given number of rows, the same ones each time, in their order."""
    if len(texts) <= most:
        return texts
    rows = pa.array(np.sort(np.random.default_rng(0).choice(len(texts), most, replace=False)))
    return Texts(texts.ids.take(rows), texts.texts.take(rows))


def fitting(counts: Int[np.ndarray, " n"], longest: int = USUAL[-1]) -> int:
    """Return the least usual length that cuts no more than `FEW` of the texts, or `longest` where none does."""
    return next((at for at in USUAL if at <= longest and _cut(counts, at) <= FEW), longest)


def _positions(recipe: EncoderRecipe) -> int:
    """The greatest usual length that the encoder's model has positions for."""
    for at in reversed(USUAL):
        try:
            replace(recipe, document=replace(recipe.document, max_length=at)).check_model()
        except ConfigError:
            continue
        return at
    return USUAL[0]


def _measure(texts: Texts, tokeniser: Tokeniser, side: str) -> Int[np.ndarray, " n"]:
    counts: list[int] = []
    with progress(len(texts), f"tokenise {side}s", "texts") as bar:
        for start in range(0, len(texts), BLOCK):
            block = texts.texts.slice(start, BLOCK).to_pylist()
            counts.extend(len(ids) for ids in tokeniser(block))
            bar.update(len(block))
    return np.array(counts, np.int64)


def _cut(counts: np.ndarray, at: int) -> float:
    return float((counts > at).mean()) if len(counts) else 0.0


def _told(counts: np.ndarray) -> dict[str, float]:
    if not len(counts):
        return {"mean": 0.0, "median": 0.0, "p90": 0.0, "p99": 0.0, "max": 0}
    median, p90, p99 = np.percentile(counts, (50, 90, 99))
    told = {"mean": counts.mean(), "median": median, "p90": p90, "p99": p99}
    return {name: float(value) for name, value in told.items()} | {"max": int(counts.max())}
