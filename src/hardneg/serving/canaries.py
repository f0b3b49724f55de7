"""Canaries: a fixed list of texts whose embeddings an index keeps, to see that a model still makes the same ones."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.serving.text_encoder import TextEncoder

CLOSE = 0.999  # cosine; other precision, other hardware and other versions stay above (bf16 against float32: 0.9999)

# Short and long, plain, code, numbers, markup, other scripts, and what tokenizers trip over. Never change a text: add.
TEXTS = (
    "the",
    "how do I reset my password",
    "What is the capital of France?",
    "Paris is the capital and most populous city of France, on the river Seine.",
    "def mean(values):\n    return sum(values) / len(values)",
    "SELECT name, COUNT(*) FROM users WHERE active = 1 GROUP BY name ORDER BY 2 DESC;",
    "git rebase --onto main feature~3 feature",
    "Aspirin inhibits cyclooxygenase and thereby the synthesis of prostaglandins and thromboxanes.",
    "0-dimensional biomaterials show inductive properties.",
    "The company reported revenue of $4.2 billion, up 12.5% year over year (2023: $3.7bn).",
    "E = mc^2, and for every epsilon > 0 there is a delta > 0 such that |f(x) - f(y)| < epsilon.",
    "Der Hund läuft über die Straße und bellt.",
    "L'été dernier, nous avons mangé une crème brûlée à Besançon.",
    "Вчера мы смотрели старый фильм в кинотеатре.",
    "東京は日本の首都です。",
    "القاهرة هي عاصمة مصر",
    "नमस्ते, आप कैसे हैं?",
    "안녕하세요, 만나서 반갑습니다",
    "best cheap noise cancelling headphones under 100",
    "headphones headphones headphones headphones headphones headphones headphones headphones",
    "<html><body><h1>Title</h1><p>A paragraph with <b>bold</b> text.</p></body></html>",
    "https://example.org/a/path?query=value&other=1#fragment",
    '{"id": 7, "tags": ["a", "b"], "nested": {"ok": true, "none": null}}',
    "ERROR 2024-01-01T00:00:00Z connection refused: 127.0.0.1:5432 (errno 111)",
    "not good",
    "good",
    "WHY ARE YOU SHOUTING",
    "  leading and trailing blanks, a\ttab and\n\na blank line  ",
    "naïve café “quotes” … ½ €5 → x²",
    "🙂 emoji 👍🏽 and a family 👨‍👩‍👧",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
    # Long, but within the positions of small models; the maximum length itself is compared as a number.
    " ".join(
        f"Sentence {number} of a long document speaks of rivers, bridges, taxes, proteins and the weather in town."
        for number in range(1, 4)
    ),
)


def sing(encoder: TextEncoder) -> dict[str, Float32[np.ndarray, "N D"]]:
    """Embed the canaries as queries and as documents."""
    return {side: encoder.embed(TEXTS, side) for side in (QUERY, DOCUMENT)}


def as_plain(vectors: dict[str, Float32[np.ndarray, "N D"]]) -> dict[str, Any]:
    """Write embeddings as plain values for JSON: shape, and float32 in base64."""
    return {
        side: {"shape": list(array.shape), "float32": base64.b64encode(array.astype("<f4").tobytes()).decode()}
        for side, array in vectors.items()
    }


def from_plain(values: dict[str, Any]) -> dict[str, Float32[np.ndarray, "N D"]]:
    """Read what `as_plain` wrote."""
    return {
        side: np.frombuffer(base64.b64decode(one["float32"]), "<f4").astype(np.float32).reshape(one["shape"])
        for side, one in values.items()
    }


def cosines(first: Float32[np.ndarray, "N D"], other: Float32[np.ndarray, "N D"]) -> Float64[np.ndarray, " N"]:
    """The cosine of each pair of rows; two rows of zeros (a text without a known token) count as equal."""
    a, b = first.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = lengths[0] * lengths[1]
    zeros = (lengths[0] < 1e-12) & (lengths[1] < 1e-12)
    dots = (a * b).sum(axis=1)
    return np.where(zeros, 1.0, dots / np.maximum(product, 1e-24))
