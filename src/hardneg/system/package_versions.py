"""The versions of installed packages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of each of these packages that is installed."""
    found = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
