"""A report on a terminal of 80 columns."""

from __future__ import annotations

import io
import re

from rich.console import Console

from hardneg.inspection.lengths import USUAL
from hardneg.inspection.show import _lengths, _positives, _print, _splits

BY_SIDE = {"measured": 3714, "of": 3714, "median": 98, "p90": 357, "p99": 964, "max": 2575, "fits": 512}
QUERIES = {"1": 3420, "2": 116, "3-5": 15, "6-10": 0, "11+": 1}
SPLIT = {
    "queries": 3552, "judgements": 3717, "relevant_documents": 3714, "grades": {"0": 12345, "1": 3717},
    "positives_per_query": {"mean": 1.0, "queries_with": QUERIES},
}  # fmt: skip


LARGE = {  # as MS MARCO's
    "queries": 502_939, "judgements": 8_532_761, "relevant_documents": 516_472,
    "grades": {"0": 8_012_345, "1": 532_761, "2": 100_000},
    "positives_per_query": {
        "mean": 1.1, "queries_with": {"1": 493_239, "2": 18_116, "3-5": 12_315, "6-10": 1000, "11+": 1201}
    },
}  # fmt: skip


def printed(*tables):
    out = io.StringIO()
    for title, table in tables:
        _print(Console(file=out, width=80), title, table)
    return out.getvalue()


def test_no_number_and_no_name_is_broken():
    side = {**BY_SIDE, "cut": {str(at): 0.956 for at in USUAL}}
    lengths = printed(_lengths({"encoder": "static", "lengths": {"query": side, "document": side}}))
    assert re.search(r"documents +98 +357 +964 +2575( +95\.6%){5} +512", lengths)
    report = {"splits": {"train": SPLIT}}
    splits = printed(_splits(report), _positives(report))
    assert "judgements" in splits
    assert re.search(r"train +3,552 +3,717 +3,714 +1\.0 +0: 12,345, +\n? *1: 3,717", splits)
    assert re.search(r"train +3,420 +116 +15 +0 +1 ", splits)


def test_no_digit_of_a_large_set_is_lost():
    report = {"splits": {"train": LARGE, "dev": LARGE}}
    splits = printed(_splits(report), _positives(report))
    for name in report["splits"]:
        assert re.search(rf"{name} +502,939 +8,532,761 +516,472 +1\.1 +0: 8,012,345", splits)
        assert re.search(rf"{name} +493,239 +18,116 +12,315 +1,000 +1,201 ", splits)
    assert splits.count("532,761") == 4 and splits.count("100,000") == 2


def test_no_digit_of_long_texts_is_lost():
    of = {"measured": 10_000, "of": 8_841_823, "median": 10_357, "p90": 31_357, "p99": 119_640, "max": 1_225_750}
    side = {**of, "fits": 8192, "cut": {str(at): 1.0 for at in USUAL}}
    lengths = printed(_lengths({"encoder": "static", "lengths": {"query": side, "document": side}}))
    assert len(re.findall(r"10357 +31357 +119640 +1225750( +100\.0%){5} +8192", lengths)) == 2
