"""Standard output that may end, or that cannot show every letter, while a command still has work to do."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The other end of a pipe has closed (`| head`, a `| tee` that was killed), or the terminal has (ssh that broke off).
GONE = (errno.EPIPE, errno.EIO)


class Lasting:
    """A stream that says nothing more once nobody reads it: what is worked on has its results in files."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write as the stream does; return how many characters were taken."""
        try:
            return int(self._stream.write(text))
        except OSError as error:
            self._leave(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._leave(error)

    def _leave(self, error: OSError) -> None:
        """Let what follows go nowhere; what is still held back goes there too, where Python ends."""
        if error.errno not in GONE:
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def any_letter() -> Iterator[None]:
    """Show a ? for a letter that standard output's encoding does not have, where Python would fail."""
    out: Any = sys.stdout
    before = getattr(out, "errors", None)
    fails = before in ("strict", "surrogateescape") and hasattr(out, "reconfigure")  # the latter in locale C
    if fails:
        out.reconfigure(errors="replace")
    try:
        yield
    finally:
        if fails:
            out.reconfigure(errors=before)


@contextmanager
def lasting() -> Iterator[None]:
    """Go on with a command whose standard output nobody reads any more."""
    out: Any = sys.stdout
    sys.stdout = Lasting(out)  # type: ignore[assignment]
    try:
        try:
            yield
        finally:  # also of a command that ends with an exit code: Python would complain at its end, and have another
            sys.stdout.flush()
    finally:
        sys.stdout = out


@contextmanager
def until_closed() -> Iterator[None]:
    """End a command that only prints, with 141 as a shell would say it, once what reads it has enough (`| head`)."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        raise SystemExit(141) from None
    except SystemExit as stop:  # rich has noticed that first
        if isinstance(stop.__context__, BrokenPipeError):
            raise SystemExit(141) from None
        raise


def open_missing() -> None:
    """Give standard output and error somewhere to go where they were closed before the start, as by `>&-`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  as long as the process
