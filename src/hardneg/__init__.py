"""hardneg: train dual-encoder retrievers with the right negatives.

In Python, `train` trains on `Data` (a data frame, a data set, dictionaries) and returns a `Run`; `open_run` opens an
older one. `run` runs any command; `open_data` and `open_mined` open the data and the mined lists of a run folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from hardneg.api.data import Data
    from hardneg.api.run import Run, open_run
    from hardneg.api.training import train
    from hardneg.cli import run
    from hardneg.runs.mined_lists import open_mined
    from hardneg.runs.saved_config import open_data

__all__ = ["Data", "Run", "__version__", "open_data", "open_mined", "open_run", "run", "train"]

# Imported on first use: the command line starts without them.
_HOMES = {
    "Data": "hardneg.api.data",
    "Run": "hardneg.api.run",
    "open_run": "hardneg.api.run",
    "train": "hardneg.api.training",
    "run": "hardneg.cli",
    "open_data": "hardneg.runs.saved_config",
    "open_mined": "hardneg.runs.mined_lists",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hardneg")
    if name not in _HOMES:
        raise AttributeError(f"module 'hardneg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
