"""NeMo Automodel's mining of hard negatives (llama-embed-nemotron's 95% rule) against our mined lists."""

from __future__ import annotations

import math
from types import SimpleNamespace

from lists import CORPUS, NEGATIVES, embeddings, labels, mining_row, our_lists
from nemo_automodel.recipes.retrieval.mine_hard_negatives import MineHardNegativesRecipe
from rows import Row, write

PEER = "nemo_automodel"


def mined(margin: float, kind: str) -> list[list[int]]:
    """Their lists from our embeddings, without what they had thrown out and took back to fill a list."""
    recipe = SimpleNamespace(dist_env=SimpleNamespace(device="cpu"))
    queries, docs = (side.numpy() for side in embeddings())
    ids, scores, _ = MineHardNegativesRecipe._mine_hard_negatives(
        recipe, queries, docs, labels(), 32, NEGATIVES, margin, kind
    )
    return [[i for i, s in zip(*row, strict=True) if s > -math.inf] for row in zip(ids, scores, strict=True)]


def row(what: str, words: str, margin: float, kind: str, note: str = "") -> Row:
    """Compare the first five of each query; theirs looks through the whole corpus."""
    ours = our_lists(*words.split(), depth=len(CORPUS))
    return mining_row(PEER, what, words, ours, mined(margin, kind), note)


NEGATIVE = (
    "a positive below 0: theirs multiplies, which raises the bar above it, ours lowers it; a"
    " short list: theirs is filled with what the rule had thrown out (left out here), ours stays short"
)
ROWS_OF_TABLE = [
    lambda: row(
        "hard_neg_margin_type=perc, 0.995 of the lowest positive",
        "filter=[known_positives,relative_margin] filter.relative_margin.margin=0.005",
        0.995,
        "perc",
        NEGATIVE,
    ),
    lambda: row(
        "hard_neg_margin_type=perc, 0.95 of the lowest positive",
        "filter=[known_positives,relative_margin] filter.relative_margin.margin=0.05",
        0.95,
        "perc",
        NEGATIVE,
    ),
    lambda: row(
        "hard_neg_margin_type=abs, 0.005",
        "filter=[known_positives,absolute_margin] filter.absolute_margin.margin=0.005",
        0.005,
        "abs",
    ),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
