"""Stopping in an orderly way: finish the step, save, and say so with the exit code."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import lightning as L
from lightning.pytorch.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)


class SaveOnSigterm(L.Callback):
    """Write last.ckpt when SIGTERM ends the run after a complete step; a crash in mid-step leaves the older one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Save if the exception is Lightning's answer to SIGTERM."""
        if isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self.path, weights_only=False)  # optimiser and position too
            log.warning("stopped at step %d; go on with: hardneg resume %s", trainer.global_step, self.path.parents[1])


@contextmanager
def orderly_stop() -> Iterator[None]:
    """Turn the end by SIGTERM, which Lightning reports as success, into exit code 143; Ctrl-C stops the same way."""
    with _ctrl_c_is_sigterm():
        try:
            yield
        except SIGTERMException as error:
            raise SystemExit(128 + signal.SIGTERM) from error


@contextmanager
def _ctrl_c_is_sigterm() -> Iterator[None]:
    """Let the first Ctrl-C stop like SIGTERM, after the step; a second one stops at once."""
    before: Callable | int | None = signal.getsignal(signal.SIGINT)

    def once(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        log.warning("stopping after this step; press Ctrl-C again to stop at once")
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
