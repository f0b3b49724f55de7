"""What determines a vector beside its text: two encoders that agree in it share one space."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from tokenizers import Tokenizer

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.serving.text_encoder import TextEncoder

Facts = dict[str, Any]
WORDS = {  # how differences are worded
    "weights": "the weights",
    "tokenizer": "the tokenizer",
    "pooling": "the pooling",
    "normalize": "normalisation",
    "prompt": "the prompt",
    "max_length": "the longest length",
    "dim": "the width of the embeddings",
    "encoder": "the kind of encoder",
}


def both(recipe: EncoderRecipe, tokenizer: Tokenizer, towers: Towers, dim: int) -> dict[str, Facts]:
    """What decides the vectors of queries and of documents, as plain values; names and paths of models do not.

    Weights are hashed as they are now, and only once where both sides share them: hashing takes most of the time of
    opening an index.
    """
    # The tokenizer's own lengths and padding are not used; ours are facts of their own.
    reads = json.loads(tokenizer.to_str()) | {"padding": None, "truncation": None}
    kind: dict[str, Any] = {"type": type(recipe).__name__}
    for key in ("bidirectional", "append_eos"):
        if hasattr(recipe, key):
            kind[key] = getattr(recipe, key)
    if layers := getattr(recipe, "layers_behind", ()):
        kind["dense"] = [f"{layer.activation}{' with its input added' if layer.residual else ''}" for layer in layers]
    query, document = (towers.tower(side) for side in (QUERY, DOCUMENT))
    kind |= {"include_prompt": document.include_prompt, **document.beside_weights}
    shared = {
        "tokenizer": blake2b(json.dumps(reads, sort_keys=True).encode(), digest_size=16).hexdigest(),
        "pooling": getattr(recipe, "pooling", "mean"),
        "normalize": recipe.unit_vectors,
        "dim": dim,
        "encoder": kind,
    }
    hashed = weights_hash(document)
    weights = {DOCUMENT: hashed, QUERY: hashed if query is document else weights_hash(query)}
    own = {side: getattr(recipe, side) for side in (QUERY, DOCUMENT)}
    return {
        side: {**shared, "weights": weights[side], "prompt": own[side].prompt, "max_length": own[side].max_length}
        for side in (QUERY, DOCUMENT)
    }


def of(encoder: TextEncoder) -> dict[str, Facts]:
    """The facts of an encoder at hand."""
    one = encoder.trained
    return both(one.recipe, one.tokenizer, encoder.towers, encoder.dim)


def differences(stored: Facts, now: Facts) -> list[str]:
    """Say in words where two encoders differ; empty for equal ones."""
    said = []
    for key, word in WORDS.items():
        was, is_ = stored.get(key), now.get(key)
        if was != is_:
            hashes = key in ("weights", "tokenizer")
            said.append(
                f"{word} ({str(was)[:8]} at indexing, {str(is_)[:8]} now)"
                if hashes
                else f"{word} ({was!r} at indexing, {is_!r} now)"
            )
    return said
