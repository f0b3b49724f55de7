"""Whether large blocks that were freed come back from the process or from the kernel."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRY = """
import resource, sys
from hardneg.system import allocator
if "keep" in sys.argv:
    allocator.keep_freed_memory()
import numpy as np
np.ones(6_000_000)  # 48 MB: above any threshold that glibc finds by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(6_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_a_block_is_not_mapped_anew_each_time():
    faults = {how: int(subprocess.check_output([sys.executable, "-c", TRY, how])) for how in ("keep", "leave")}
    assert faults["keep"] < faults["leave"] / 4
