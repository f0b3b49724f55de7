"""The negatives that are most likely false."""

from __future__ import annotations

from by_row import KNOWN, Counting, mine

from hardneg.mining.audit import as_markdown, hardest, suspicious
from hardneg.testing.synthetic import make_training


def test_the_audit_shows_the_negatives_that_lead_their_positive(tmp_path):
    split = make_training([(0, 3), (2, 0)])
    store = mine(Counting(), split, KNOWN, 4, tmp_path)
    found = suspicious(store, split, pool=4, n=2)
    assert [(f.query_id, f.negative_id, f.rank) for f in found] == [("q0", "d0", 0), ("q0", "d1", 1)]
    assert found[0].score - found[0].positive_score == 3.0
    assert [f.negative_id for f in hardest(store, split, pool=4, n=5)] in (["d0", "d1"], ["d1", "d0"])
    text = as_markdown("Look", found)
    assert text.startswith("## Look") and "negative d0 (rank 0, 0.000): d text 0" in text
