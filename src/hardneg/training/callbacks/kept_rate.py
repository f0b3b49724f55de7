"""A warning where a run that goes on keeps another learning rate than it is asked for."""

from __future__ import annotations

import logging

import lightning as L

log = logging.getLogger(__name__)


class KeptRate(L.Callback):
    """Warn where the rate beside `ckpt_path` is not the one in the checkpoint, whose optimiser goes on with its own."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the rates of the config; comes before the optimiser's state is restored."""
        self.asked = starting_rates(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare them with the restored ones."""
        kept = starting_rates(trainer)
        if kept != self.asked:
            log.warning(
                "the run continues with the checkpoint's learning rate, %s, and not with %s; to train its weights with"
                " another rate, begin a run from them: init_from=CHECKPOINT in place of ckpt_path",
                *(", ".join(f"{rate:g}" for rate in some) for some in (kept, self.asked)),
            )


def starting_rates(trainer: L.Trainer) -> list[float]:
    """The rates that the schedule starts from, each once: those of layers or groups may differ."""
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    return sorted({float(group["initial_lr"]) for group in groups if "initial_lr" in group})
