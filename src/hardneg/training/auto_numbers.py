"""The number that `auto` stands for in a run: found once, noted in its folder, and kept when the run goes on."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config import run_identity, started_with
from hardneg.encoders import checkpoint
from hardneg.runs import status
from hardneg.runs.folder import note_setting
from hardneg.system import agreement, distributed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Auto:
    """A setting that may be `auto`: what it is called, its key in the config, its name in a status and a checkpoint."""

    called: str
    key: str
    noted: str
    saved: str

    def began_with(self, cfg: DictConfig) -> int | float | None:
        """Return the number that a run which goes on began with; None for a new run, and where nothing says."""
        if not cfg.get("ckpt_path"):
            return None
        folder = Path(str(cfg.ckpt_path)).resolve().parent.parent
        number = run_identity.found(folder, self.noted)
        if number is None and (written := started_with.config_of(folder)) is not None:
            number = OmegaConf.select(written, self.key)
        if not isinstance(number, int | float):  # as of a checkpoint that was copied from its folder
            number = checkpoint.began_with(cfg.ckpt_path).get(self.saved)
        return number

    def settled(self, cfg: DictConfig, folder: Path, number: int | float) -> DictConfig:
        """Return the config with the number, which the folder's config and status then have too."""
        agreement.agree(self.called, number)
        cfg = copy.deepcopy(cfg)
        with open_dict(cfg), read_write(cfg):
            OmegaConf.update(cfg, self.key, number)
        if distributed.rank() == 0 and status.read(folder) is not None:
            status.note_settled(folder, cfg, **{self.noted: number})
            note_setting(folder, self.key, number)
        return cfg


def tell_found(asked: DictConfig, cfg: DictConfig, precision: str, why_smaller: str) -> None:
    """Say in one line what was found for each `auto` of the config `asked`; the log file has a line with the why.

    `why_smaller` is why the batch found is smaller than the encoder's own, empty if it is not.
    """
    batch_found = asked.batch_size == "auto"
    numbers = [f"batch_size {cfg.batch_size}"] * batch_found
    numbers += [f"encoder.lr {cfg.encoder.lr:g}"] if run_identity.seeks_rate(asked) else []
    numbers += [f"precision {precision}"] * (asked.trainer.precision == "auto")
    if numbers and distributed.rank() == 0:
        why = f"; {cfg.batch_size} is {why_smaller}" if batch_found and why_smaller else ""
        log.info("auto: %s%s", ", ".join(numbers), why)
