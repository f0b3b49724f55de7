"""Stopping in an orderly way: finish the step, save, and say so with the exit code."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import lightning as L
from lightning.pytorch.utilities.exceptions import SIGTERMException

from hardneg.config.command_words import command_line
from hardneg.system import agreement, collectives, distributed
from hardneg.training.trainer_state import at_a_step

log = logging.getLogger(__name__)


class SaveOnSigterm(L.Callback):
    """Stop all ranks after the step in which SIGTERM reaches any of them, or after the next, and write last.ckpt.

    Lightning's own handler broadcasts while the other ranks may be in the middle of another collective, and lets each
    rank stop when it sees its own flag: with more than one rank it hangs. And its loop asks rank 0 before every step,
    by a number that the host reads from the device. Here the handler only takes a note; the ranks say it to each other
    at the end of each step, on the CPU, and hear it at the end of the next, so that all stop at the same one and no
    host waits for its device. One rank alone stops at once. A crash in mid-step leaves the older checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = False
        self.anywhere: Callable[[bool], bool] = bool  # one rank's own word, until training starts

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the place of Lightning's handler, installed just before; it comes back after the run."""
        if in_main_thread():
            signal.signal(signal.SIGTERM, self._note)
        self.anywhere = collectives.AnywhereBefore()
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]

    def _note(self, _: int, __: FrameType | None) -> None:
        self.asked = True
        _AT_ONCE.by(signal.SIGTERM)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Agree whether to stop; Lightning then raises `SIGTERMException` on every rank at the same place.

        Between batches that are accumulated nobody stops: a checkpoint holds no gradients.
        """
        if self.anywhere(self.asked) and at_a_step(trainer):
            trainer._signal_connector.received_sigterm = True

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Save if the exception is Lightning's answer to SIGTERM."""
        if isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self.path, weights_only=False)  # optimiser and position too
            if trainer.is_global_zero:
                log.warning("stopped at step %d; resume with: %s", trainer.global_step, self._resume)
        elif isinstance(exception, KeyboardInterrupt | SystemExit) and trainer.is_global_zero:
            log.warning(
                "stopped at once, after step %d; resume from the last checkpoint, with the lists mined since: %s",
                trainer.global_step,
                self._resume,
            )

    @property
    def _resume(self) -> str:
        return command_line("resume", self.path.parents[1])


class _AtOnce:
    """Whether a signal ends what is going on now at once, and which one has asked for an end."""

    def __init__(self) -> None:
        self.allowed = False
        self.signal: int | None = None

    def by(self, number: int) -> None:
        """Note a signal; raise what ends the block at hand if it may be ended.

        A SIGTERM may reach one rank alone, whose fellows would wait for it for ever; Ctrl-C reaches all of them.
        """
        if self.signal != signal.SIGINT:  # which sends SIGTERM after itself
            self.signal = number
        if self.allowed and (self.signal == signal.SIGINT or not distributed.active()):
            self.allowed = False
            raise KeyboardInterrupt if self.signal == signal.SIGINT else SystemExit(128 + signal.SIGTERM)


_AT_ONCE = _AtOnce()


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end this block at once, as a mining round, which goes on where it was another time.

    The run then goes on from its last checkpoint: what the callbacks hold in the middle of a round is not to be saved.
    """
    _AT_ONCE.allowed = True
    try:
        if _AT_ONCE.signal is not None:  # it came in the step before
            _AT_ONCE.by(_AT_ONCE.signal)
        yield
    finally:
        _AT_ONCE.allowed = False


@contextmanager
def orderly_stop(trainer: L.Trainer) -> Iterator[None]:
    """End with exit code 143 after SIGTERM, which Lightning reports as success, and with 130 after Ctrl-C.

    Only rank 0 reports it: Lightning kills rank 0, which is still closing its loggers, when another rank exits first
    with anything but 0.
    """
    _AT_ONCE.signal = None
    with _ctrl_c_is_sigterm():
        try:
            yield
        except SIGTERMException as error:
            number = _AT_ONCE.signal or signal.SIGTERM
            raise SystemExit(128 + number if trainer.is_global_zero else 0) from error
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # of which Lightning makes exit code 1
                raise SystemExit(128 + signal.SIGINT) from error
            raise


def in_main_thread() -> bool:
    """Whether this is the thread that signals reach; Python lets no other have a handler."""
    return threading.current_thread() is threading.main_thread()


def end_before_the_test(trainer: L.Trainer, folder: Path) -> None:
    """End as `orderly_stop` does where a signal came after the last step, in the evaluation there, and none has heard.

    The test may take long; a resumed run does it. Every rank must ask: the signal may have reached one of them.
    """
    number = next(filter(None, agreement.everyone(_AT_ONCE.signal)), None)
    if number is None:
        return
    if trainer.is_global_zero:
        again = command_line("resume", folder)
        log.warning("stopped at step %d, before the test; resume with: %s", trainer.global_step, again)
    raise SystemExit(128 + number if trainer.is_global_zero else 0)


@contextmanager
def _ctrl_c_is_sigterm() -> Iterator[None]:
    """Let the first Ctrl-C stop like SIGTERM, after the step; a second one stops at once."""
    if not in_main_thread():
        yield
        return
    before: Callable | int | None = signal.getsignal(signal.SIGINT)

    def once(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        _AT_ONCE.by(signal.SIGINT)
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # nobody takes a note yet
            raise KeyboardInterrupt
        if distributed.rank() == 0:
            log.warning(
                "stopping after this step, or after the evaluation at hand; Ctrl-C again stops at once, and the run"
                " goes on from its last checkpoint"
            )
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
