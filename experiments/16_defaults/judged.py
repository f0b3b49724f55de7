"""The arms that are run once on the confirmation sets: the defaults as they were, and as they are."""

from __future__ import annotations

OLD, NEW = ["batch_size=64"], ["batch_size=auto"]
RANDOM = ["strategy=random", "negatives.random.k=4"]  # its number is named: other ones were judged against it
ARMS = {
    "in_batch_64": [*OLD, "strategy=in_batch"],
    "in_batch": [*NEW, "strategy=in_batch"],
    "bm25_64": [*OLD, "strategy=bm25"],
    "bm25_all": [*NEW, "strategy=bm25"],
    "bm25": [*NEW, "strategy=bm25", "filter=[known_positives,rank_window]"],
    "random": [*NEW, *RANDOM],
    "mined_64": [*OLD, "strategy=mined"],
    "mined": [*NEW, "strategy=mined"],
}
PRESETS = {  # with encoder.lr=auto, on more seeds
    "in_batch": ["strategy=in_batch"],
    "random": RANDOM,
    "bm25": ["strategy=bm25"],
    "mined": ["strategy=mined"],
}
