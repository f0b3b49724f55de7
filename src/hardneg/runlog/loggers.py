"""The loggers of one run, opened and closed together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger

from hardneg.config.classes import build


@contextmanager
def loggers(nodes: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> Iterator[list[Logger]]:
    """Open every configured logger and close it when the run ends, as failed if the run raises.

    A node with `_partial_: true` receives those of `facts` (folder, name, group, tags, config, best) that its
    signature has; any Lightning logger can stand beside ours.
    """
    with ExitStack() as stack:
        opened = []
        for node in (nodes or {}).values():
            made = build(node)
            if isinstance(made, functools.partial):
                takes = inspect.signature(made).parameters
                made = made(**{key: value for key, value in facts.items() if key in takes})
            opened.append(stack.enter_context(made) if isinstance(made, AbstractContextManager) else made)
        yield opened
