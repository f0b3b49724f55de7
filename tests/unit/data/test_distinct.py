"""Distinct values by sorting are those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.data.distinct import distinct


@pytest.mark.parametrize("count", [0, 1, 1000])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_they_are_those_of_numpy(count, kind):
    values = np.random.default_rng(0).integers(-300, 300, count).astype(kind)
    found = distinct(values)
    assert found.dtype == kind and found.tolist() == np.unique(values).tolist()
    both = distinct(values, values[: count // 2] + kind(7))
    assert both.dtype == kind and both.tolist() == np.union1d(values, values[: count // 2] + kind(7)).tolist()
