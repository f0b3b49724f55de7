"""Recipes are what their sources publish, but for what is said to differ."""

from __future__ import annotations

import pytest
from published import PUBLISHED, ours


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_is_what_its_source_says(name):
    for row in PUBLISHED[name]:
        found = ours(name, row.key)
        if isinstance(row.expected, dict):  # those of its keys that matter
            found = {key: found[key] for key in row.expected}
        assert found == row.expected, row
