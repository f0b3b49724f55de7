"""A p-value as it is written agrees with what is concluded from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy import stats

from hardneg.compare import latex, tables
from hardneg.compare.comparison import ArmRow, Comparison, ComparisonPlan, Contrast
from hardneg.compare.p_values import written
from hardneg.compare.statistics import Components, Difference


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.04996, "0.04996"), (0.0496, "0.0496"), (0.0301, "0.03"), (0.05002, "0.05"), (1.04e-12, "1e-12"), (1.0, "1")],
)
def test_one_below_the_level_is_not_rounded_up_to_it(p, shown):
    assert written(p) == shown


def test_the_level_may_be_another():
    assert written(0.012496, 0.0125) == "0.012" and written(0.01255, 0.0126) == "0.01255"


def comparison(p: float, dz: float | None = None) -> Comparison:
    found = Difference(float(stats.t.isf(p / 2, 100)), 1.0, 100.0, 3, 50, Components(0.1, 0.1, 0.1))
    row = ArmRow("bm25", (1, 2, 3), 0.4, 0.01, Contrast(found, True, p_holm=found.p, dz=dz))
    return Comparison(
        "toy", ComparisonPlan("ndcg@10"), "in_batch", [row, replace(row, arm="in_batch", contrast=None)], 0
    )


def test_no_table_says_better_at_5_percent_beside_p_0_05():
    """0.04996 was written as 0.05."""
    table = comparison(0.04996)
    row = tables.cells(table.rows[0], table)
    assert row[-1] == "better" and row.count("0.04996") == 2 and "0.05" not in row
    assert ".04996" in latex.comparisons([table])


def test_a_table_has_two_digits_of_one_above_the_level():
    table = comparison(0.0501)
    row = tables.cells(table.rows[0], table)
    assert row[-1] == "open" and row.count("0.05") == 2 and ".050" in latex.comparisons([table])


def test_a_dz_that_there_is_not_is_no_number_in_latex_either():
    """Where every query has the same difference, as where two arms find all."""
    assert "$+0.50$" in latex.comparisons([comparison(0.04, 0.5)])
    assert "nan" not in latex.comparisons([comparison(0.04, float("nan"))])


def test_a_difference_that_rounds_to_nothing_has_no_sign_of_its_own():
    """Not [-0.0000, -0.0000], which reads as below 0."""
    found = Difference(-1e-9, 1e-9, 100.0, 3, 50, Components(0.0, 0.0, 0.0))
    contrast = Contrast(found, True, p_holm=found.p, dz=0.0)
    table = Comparison("toy", ComparisonPlan("ndcg@10"), "in_batch", [], 0)
    row = ArmRow("bm25", (1, 2, 3), 0.4, 0.01, contrast)
    assert "+0.0000 [+0.0000, +0.0000]" in tables.cells(row, table)
