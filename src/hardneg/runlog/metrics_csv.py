"""`metrics.csv` in the run folder: one row per logged step, kept across crashes and resumes."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.errors import DataError
from hardneg.runlog.files import METRICS
from hardneg.system.atomic_write import atomic_write
from hardneg.system.counts_in_words import counted

log = logging.getLogger(__name__)

Row = dict[str, str]


class MetricsCsv(Logger):
    """Write metrics to `folder/metrics.csv`; a resumed run goes on in the same file.

    A run that crashed has rows from after its last checkpoint, which the resumed run logs again. So the first row of
    this process, at step `s`, cuts the older rows of later steps; of step `s` itself it cuts those that are repeated
    (same columns filled). The file then equals that of a run that was never interrupted, but where a kill came in the
    milliseconds between last.ckpt and the row of its step, which Lightning writes after it: that row is missing. A job
    that adds to a finished run without going on with it (an evaluation, which counts from step 0) passes `cut=False`.

    Every row is written through to the file at once, so a killed process loses none. A new column rewrites the file
    beside itself and swaps it in. Hyperparameters are not written: the run folder has them in `.hydra/`.

    Raises `DataError` if there is a `metrics.csv` that this class did not write.
    """

    # Not a subclass of Lightning's CSVLogger, which deletes an existing file, and rewrites it in place.

    def __init__(self, folder: str | os.PathLike[str], *, cut: bool = True) -> None:
        super().__init__()
        self.path = Path(folder).absolute() / METRICS
        self._cut = cut
        self._columns: list[str] = []
        self._file: TextIO | None = None
        self._step = 0
        self._repeatable: list[Row] = []  # older rows of the step this process began with

    @property
    def name(self) -> str:
        """Return nothing, so that paths which Lightning makes from it stay in the run folder."""
        return ""

    @property
    def version(self) -> str:
        """Return nothing, as `name`."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run folder has the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write one row; without a step it belongs to that of the row before."""
        self._step = self._step if step is None else int(step)
        values = {key: value.item() if hasattr(value, "item") else value for key, value in metrics.items()}
        if "epoch" in values:
            values["epoch"] = int(values["epoch"])  # Lightning logs floats only
        row = {"step": str(self._step)} | {key: str(value) for key, value in values.items() if key != "step"}
        if self._file is None:
            self._begin(row)
        elif self._repeatable:
            self._drop_repeated(row)
        if new := [key for key in row if key not in self._columns]:
            rows = _read(self.path)[1]
            # `epoch` second, where one looks for it; the rest in order of appearance
            self._columns += sorted(new, key=lambda key: key not in ("step", "epoch"))
            self._rewrite(rows)
        assert self._file is not None
        # one write call per row: the operating system has it whole before a kill can come
        self._file.write(_lines(self._columns, [row], header=False))
        self._file.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Do nothing: each row is on disk already, and `trainer.test` may follow `trainer.fit`."""

    def _begin(self, first: Row) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._columns, rows = _read(self.path)
        kept = [row for row in rows if not self._cut or int(row["step"]) <= self._step]
        if dropped := len(rows) - len(kept):
            log.info(
                "%s: cut %s after step %d, which this run logs again", self.path, counted(dropped, "row"), self._step
            )
        # also where nothing is cut: the last line may be incomplete
        self._rewrite(kept)
        if self._cut:
            self._repeatable = [row for row in kept if int(row["step"]) == self._step]
            self._drop_repeated(first)

    def _drop_repeated(self, row: Row) -> None:
        if any(int(old["step"]) != int(row["step"]) for old in self._repeatable):
            self._repeatable = []
            return
        repeated = [old for old in self._repeatable if _filled(old) == _filled(row)]
        if repeated:
            rows = _read(self.path)[1]
            for old in repeated:  # the first equal one is the older
                rows.remove(old)
                self._repeatable.remove(old)
            self._rewrite(rows)

    def _rewrite(self, rows: list[Row]) -> None:
        self._close()
        with atomic_write(self.path, alone=True) as draft:
            draft.write_text(_lines(self._columns, rows, header=bool(self._columns)), encoding="utf-8", newline="")
        self._file = self.path.open("a", encoding="utf-8", newline="")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        # a launcher that spawns pickles the logger; the copy goes on where this one is, and must not cut again
        return self.__dict__ | {"_file": None, "_cut": self._cut and self._file is None, "_repeatable": []}

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._close()


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a metrics.csv, the cells that are filled; none where there is no file."""
    return _read(path)[1]


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Return columns and rows, without a last line that a crash cut short."""
    if not path.exists():
        return [], []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole, newline=""))
    rows = [{key: value for key, value in row.items() if value} for row in reader]
    columns = list(reader.fieldnames or [])
    if columns and (columns[0] != "step" or not all(row.get("step", "").isdecimal() for row in rows)):
        raise DataError(f"{path}:1: not a metrics file of hardneg (no number in a first column `step`); move it away")
    return columns, rows


def _lines(columns: list[str], rows: list[Row], *, header: bool) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _filled(row: Row) -> frozenset[str]:
    return frozenset(key for key, value in row.items() if value)
