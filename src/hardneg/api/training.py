"""Training from Python: the command `hardneg train`, in this process, with data in memory or in files."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardneg.api.data import words_for
from hardneg.api.run import Run
from hardneg.api.words import words_of
from hardneg.cli import in_process
from hardneg.errors import ConfigError


def train(data: Any = None, *overrides: str | Sequence[str], folder: str | Path | None = None, **settings: Any) -> Run:
    """Train a dual encoder and return its run: `train(frame, encoder="static", negatives=["in_batch", "bm25"])`.

    `data` is a `hardneg.Data`, or anything that `Data.of` takes (a pandas or polars frame, a `datasets.Dataset` or
    `DatasetDict`, an Arrow table, rows); a file or folder; the name of a built-in set (`"toy"`); or None, if the
    overrides name the data. `settings` are the keys of `hardneg train`, below a key as a dictionary
    (`trainer={"max_epochs": 1}`), `overrides` are its command-line arguments (`"encoder.dim=64"`), which take
    precedence. `folder` is the run's folder, by default a new one in `outputs`.

    Messages go to stdout. Logging, environment and random states of the process are left unchanged. Raises
    `ConfigError` for settings that cannot work and `DataError` for data that cannot be read, before training;
    `KeyboardInterrupt` if it was stopped: `hardneg.run("resume", FOLDER)` resumes.
    """
    words = [word for one in overrides for word in ([one] if isinstance(one, str) else one)]
    if flags := [word for word in words if word.startswith("-")]:
        raise ConfigError(
            f"{flags[0]}: hardneg.train makes one run; hardneg.run('train', {flags[0]!r}, ...) takes flags"
        )
    if folder is not None:
        settings = {**settings, "hydra.run.dir": str(folder)}
    given = [] if data is None else words_for(data, _cache(settings, words))
    return _trained([*given, *words_of(settings), *words])


def _cache(settings: dict[str, Any], words: list[str]) -> str | None:
    """The cache that the run will have, if it is not the usual one."""
    named = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("cache=")]
    return named[-1] if named else settings.get("cache")


def _trained(words: list[str]) -> Run:
    numbers = random.getstate()
    from hydra.core.hydra_config import HydraConfig
    from lightning.pytorch.utilities.seed import isolate_rng

    random.setstate(numbers)  # importing lightning draws some
    from hardneg.commands import train as command

    with warnings.catch_warnings():  # of which one is silenced by the import, and again by the start
        from hardneg.sweep.hydra_app import start

    folders: list[Path] = []

    def entry(cfg: Any) -> float | None:
        folders.append(Path(HydraConfig.get().runtime.output_dir).resolve())
        return command.train(cfg)

    with in_process("train", *words), isolate_rng():
        start("train", words, entry)
    return Run(folders[0])
