"""Our side: `hardneg train`, as a user calls it, until the processor's time is used up.

Its words are those of a user, but for the callback that stops, the schedule (the default's shape, over time in place of
steps), and no evaluation, which is the judge's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from clock import Clock, Encode, Watch
from torch.optim.lr_scheduler import LambdaLR

from hardneg import cli
from hardneg.commands import train as command
from hardneg.serving.text_encoder import TextEncoder

WORDS = [
    *("logger=csv", "trainer.enable_progress_bar=false"),
    *("split.dev=null", "split.test=null", "evaluate.before=false", "evaluate.bm25=null", "trainer.max_epochs=100000"),
    *("+callbacks.stop._target_=ours.StopInTime", "schedule=any", "schedule.scheduler._target_=ours.OverTime"),
]
BEFORE = ("token_tables", "prepare_negatives")  # what counts before Lightning begins: tokenising, and mining with BM25
watching: Watch  # of the run at hand: what the config names is made without arguments


def train(words: list[str], data: Path, seed: int, watch: Watch) -> None:
    """Run `hardneg train` with an empty cache."""
    global watching
    watching = watch
    with tempfile.TemporaryDirectory() as folder, counted(watch.clock):
        own = [f"seed={seed}", f"cache={folder}/cache", f"hydra.run.dir={folder}/run"]
        cli.run("train", "data=beir", f"data.path={data}", *WORDS, *words, *own)


@contextmanager
def counted(clock: Clock) -> Iterator[None]:
    """Let the clock go while hardneg does what counts `BEFORE` its trainer begins."""
    kept = {name: getattr(command, name) for name in BEFORE}
    for name, function in kept.items():
        setattr(command, name, counting(clock, function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(command, name, function)


def counting(clock: Clock, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the clock go while a function is called."""

    def called(*given: Any, **named: Any) -> Any:
        with clock.counting():
            return function(*given, **named)

    return called


class OverTime(LambdaLR):
    """The default's warm-up and linear fall, over the budget."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer, watching.clock.rate)


class StopInTime(L.Callback):
    """Tell the watch of every step, and stop when it says so; no checkpoints are written, as on the other side."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Let the clock go, for mining before the first step too."""
        self.save = trainer.save_checkpoint
        trainer.save_checkpoint = lambda *_, **__: None  # type: ignore[method-assign]
        watching.clock.go()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Count the step."""
        if watching.step(lambda: self.encoder(trainer)):
            watching.clock.go(False)
            trainer.should_stop = True

    def encoder(self, trainer: L.Trainer) -> Encode:
        """Encode as whoever loads a checkpoint of the run does."""
        path = Path(trainer.default_root_dir) / "now.ckpt"
        self.save(path, weights_only=True)
        loaded = TextEncoder.load(path, "cpu")
        return lambda texts, kind: loaded.embed(texts, kind)
