"""What `hardneg cache` refuses to do."""

from __future__ import annotations

import pytest

from hardneg.commands import cache
from hardneg.errors import UserError


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_days_that_cannot_be_remove_nothing(days, tmp_path):
    with pytest.raises(UserError, match=f"--unused {days}: must be 0 days or more"):
        cache.main(["prune", "--unused", days, "--folder", str(tmp_path)])
