"""What the service lets one request, and all of them together, cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hardneg.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Sizes of requests and of the queue.

    `max_batch` is the number of queries that are embedded and searched together, `timeout` the seconds in which a
    request is read and answered, `waiting` the number of requests that may wait for the worker, `max_queries` the
    number of texts in a request, `max_chars` the length of each, `max_k` the most documents that it may ask for.
    Raises `ConfigError` for what cannot work.
    """

    max_batch: int = 32
    timeout: float = 10.0
    waiting: int = 256
    max_queries: int = 32
    max_chars: int = 2000
    max_k: int = 100

    def __post_init__(self) -> None:
        for name in ("max_batch", "waiting", "max_queries", "max_chars", "max_k"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{flag(name)}={getattr(self, name)} must be 1 or more")
        if not 0 < self.timeout < math.inf:
            raise ConfigError(f"--timeout={self.timeout} must be a number of seconds above 0")
        if self.max_queries > self.max_batch:
            raise ConfigError(
                f"--max-queries={self.max_queries} must be at most --max-batch={self.max_batch}: the queries of a"
                " request are answered together"
            )

    @property
    def max_body(self) -> int:
        """Bytes of a body: any request within the other limits fits, even with each character escaped (12 bytes)."""
        return 12 * self.max_queries * self.max_chars + 1024


def flag(name: str) -> str:
    """The option of the command line that sets a limit."""
    return f"--{name.replace('_', '-')}"
