"""The contracts of parts, for tests of your own: `check_loss(MyLoss())`; also sources, filters, encoders, data sets.

`promises("my_package")` lists, for pytest's parametrize, what every yaml of a package's folder `conf` promises.
`synthetic` makes small batches, score matrices and data sets, `worlds` the data that sources are checked on.
"""

from __future__ import annotations

import sys

if "pytest" in sys.modules:  # then a failed assert shows its values
    sys.modules["pytest"].register_assert_rewrite(
        *(f"{__name__}.{name}" for name in ("yamls", "offline_sources", "online_sources", "losses", "filters")),
        *(f"{__name__}.{name}" for name in ("vector_losses", "encoders", "data_sets")),
    )

from hardneg.testing.promises import (
    Promise,
    check_data,
    check_encoder,
    check_filter,
    check_loss,
    check_source,
    check_yaml,
    promises,
)
from hardneg.testing.worlds import make_setting
from hardneg.testing.yamls import Conf

__all__ = [
    "Conf",
    "Promise",
    "check_data",
    "check_encoder",
    "check_filter",
    "check_loss",
    "check_source",
    "check_yaml",
    "make_setting",
    "promises",
]
