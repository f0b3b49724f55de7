"""What a command changes for its process, restored where the process goes on: a notebook, a script, the tests."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def as_before() -> Iterator[None]:
    """Put back what a command changes for its process: arguments, logging, environment, Hydra's singleton, Ctrl-C."""
    argv, environment, loggers = list(sys.argv), dict(os.environ), _loggers()
    ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        sys.argv = argv
        _put_back(loggers)
        # A command in another thread cannot have changed it; None: set by what is no Python.
        if ctrl_c is not None and signal.getsignal(signal.SIGINT) != ctrl_c:
            signal.signal(signal.SIGINT, ctrl_c)
        for name in os.environ.keys() - environment.keys() - {"WANDB_SERVICE"}:  # W&B's service goes on
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
        if "hydra" in sys.modules:
            from hydra.core.global_hydra import GlobalHydra

            GlobalHydra.instance().clear()


def _loggers() -> dict[logging.Logger, dict[str, Any]]:
    """All loggers, and their settings."""
    named = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    return {
        one: {"level": one.level, "handlers": list(one.handlers), "propagate": one.propagate, "disabled": one.disabled}
        for one in (logging.root, *named)
    }


def _put_back(loggers: Mapping[logging.Logger, Mapping[str, Any]]) -> None:
    """Restore the loggers; handlers added since are closed. New loggers stay as they are."""
    for logger, was in loggers.items():
        for handler in logger.handlers:
            if handler not in was["handlers"]:
                handler.close()
        logger.handlers[:] = was["handlers"]
        if logger.level != was["level"]:  # setting one clears the caches of all loggers
            logger.setLevel(was["level"])
        logger.propagate, logger.disabled = was["propagate"], was["disabled"]
