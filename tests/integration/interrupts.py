"""Callbacks that end a run from inside, at an exact step; reached through HARDNEG_TARGETS."""

from __future__ import annotations

import os
import signal
import time

import lightning as L
import numpy as np

from hardneg.teachers.base import Teacher

CODES = {"SIGKILL": -9, "SIGTERM": 143}  # what a run that was sent the signal exits with


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


class InLastEvaluation(L.Callback):
    """Send the process a signal when the last epoch ends, before its evaluation, once per run folder."""

    def __init__(self, signal_name: str) -> None:
        self.signal = getattr(signal, signal_name)

    def on_train_epoch_end(self, trainer, *_):
        mark = os.path.join(trainer.default_root_dir, "interrupted")
        if trainer.current_epoch + 1 == trainer.max_epochs and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), self.signal)


class ByRow(Teacher):
    """Scores a document by its row, a tenth of a logit each."""

    def identity(self):
        return {"teacher": "by row"}

    def score(self, queries, docs):
        return np.where(docs >= 0, docs / 10, np.nan).astype(np.float32)


class KillInScoring(L.Callback):
    """Kill the process in the second round, while its third block of pairs is being scored, once per run folder."""

    def on_train_epoch_end(self, trainer, *_):
        mark = os.path.join(trainer.default_root_dir, "interrupted")
        score, calls = ByRow.score, []

        def score_and_die(self, queries, docs):
            calls.append(len(queries))
            if len(calls) == 3 and not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return score(self, queries, docs)

        ByRow.score = score_and_die


class KillInMining(L.Callback):
    """Kill the process, or send it another signal, while the second round writes its lists, once per run folder."""

    def __init__(self, signal_name: str = "SIGKILL") -> None:
        self.signal = getattr(signal, signal_name)

    def on_train_epoch_end(self, trainer, *_):
        import hardneg.mining.pipeline as pipeline

        mark = os.path.join(trainer.default_root_dir, "interrupted")
        save = pipeline.save

        def save_and_die(path, block):
            save(path, block)
            pipeline.save = save
            if not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), self.signal)
                time.sleep(0)  # a handler's turn
                open(f"{mark}_too_late", "w").close()

        pipeline.save = save_and_die


class FailInRun(L.Callback):
    """Raise at a step in runs whose folder's name has a text, while a file named `broken` lies beside the sweep."""

    def __init__(self, step: int, text: str) -> None:
        self.step, self.text = step, text

    def on_train_batch_end(self, trainer, *_):
        folder = trainer.default_root_dir
        broken = os.path.exists(os.path.join(os.path.dirname(os.path.dirname(folder)), "broken"))
        if broken and self.text in os.path.basename(folder) and trainer.global_step >= self.step:
            raise RuntimeError("broken on purpose")


class Slow(L.Callback):
    """Sleep after each step of a run that begins, so that somebody outside can interfere; one that goes on is quick."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.goes_on = seconds, False

    def on_train_start(self, trainer, *_):
        self.goes_on = trainer.global_step > 0

    def on_train_batch_end(self, *_):
        if not self.goes_on:
            time.sleep(self.seconds)


class DropBest(L.Callback):
    """Remove best.ckpt when training has ended."""

    def on_fit_end(self, trainer, *_):
        os.unlink(os.path.join(trainer.default_root_dir, "checkpoints", "best.ckpt"))
