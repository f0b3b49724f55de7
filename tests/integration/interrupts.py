"""Callbacks that end a run from inside, at an exact step; reached through HARDNEG_TARGETS."""

from __future__ import annotations

import os
import signal

import lightning as L


class Interrupt(L.Callback):
    """Send the process of one rank a signal after a number of optimiser steps, once per run folder."""

    def __init__(self, step: int, signal_name: str, rank: int = 0) -> None:
        self.step, self.signal, self.rank = step, getattr(signal, signal_name), rank

    def on_train_batch_end(self, trainer, *_):
        mark = os.path.join(trainer.default_root_dir, "interrupted")
        if trainer.global_rank == self.rank and trainer.global_step >= self.step and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), self.signal)


class KillInEvaluation(L.Callback):
    """Kill the process when the first epoch ends, before its evaluation, once per run folder."""

    def on_train_epoch_end(self, trainer, *_):
        mark = os.path.join(trainer.default_root_dir, "interrupted")
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)


class KillInMining(L.Callback):
    """Kill the process while the second round writes its lists, once per run folder."""

    def on_train_epoch_end(self, trainer, *_):
        import hardneg.mining.pipeline as pipeline

        mark = os.path.join(trainer.default_root_dir, "interrupted")
        save = pipeline._save

        def save_and_die(path, block):
            save(path, block)
            if not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)

        pipeline._save = save_and_die
