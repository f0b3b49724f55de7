"""A report on a terminal of 80 columns."""

from __future__ import annotations

import io
import re

from rich.console import Console

from hardneg.inspection.lengths import USUAL
from hardneg.inspection.show import _lengths, _splits

BY_SIDE = {"measured": 3714, "of": 3714, "median": 98, "p90": 357, "p99": 964, "max": 2575, "fits": 512}
QUERIES = {"1": 3420, "2": 116, "3-5": 15, "6-10": 0, "11+": 1}
SPLIT = {
    "queries": 3552, "judgements": 3717, "relevant_documents": 3714, "grades": {"0": 12345, "1": 3717},
    "positives_per_query": {"mean": 1.0, "queries_with": QUERIES},
}  # fmt: skip


def printed(table):
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    return out.getvalue()


def test_no_number_and_no_name_is_broken():
    side = {**BY_SIDE, "cut": {str(at): 0.956 for at in USUAL}}
    lengths = printed(_lengths({"encoder": "static", "lengths": {"query": side, "document": side}}))
    assert re.search(r"documents +98 +357 +964 +2575( +95\.6%){5} +512", lengths)
    splits = printed(_splits({"splits": {"train": SPLIT}}))
    assert re.search(r"train +3,552 +3,717 +3,714 +1\.0 +3,420 +116 +15 +0 +1 ", splits)
