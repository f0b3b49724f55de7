"""What callbacks read of a trainer, without one."""

from __future__ import annotations

from types import SimpleNamespace

import lightning as L


class Logger:
    def __init__(self):
        self.logged = {}

    def log_metrics(self, metrics, step):
        self.logged |= metrics


class Trainer(L.Trainer):
    """What a callback reads of one."""

    global_step = loggers = is_global_zero = callback_metrics = log_every_n_steps = fit_loop = None
    current_epoch = train_dataloader = None

    def __init__(self, callbacks):
        self.global_step, self.log_every_n_steps, self.is_global_zero = 0, 1, True
        self.loggers, self.callbacks, self.callback_metrics = [Logger()], callbacks, {}
        self.accumulates = False
        self.fit_loop = SimpleNamespace(_should_accumulate=lambda: self.accumulates)
