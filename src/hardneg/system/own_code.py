"""The code of a user's own part, which belongs to the name of whatever is cached of what it makes."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

OURS = __name__.partition(".")[0]


def with_code_of(part: Any, identity: dict[str, Any]) -> dict[str, Any]:
    """Return what names a part's work, with the part's code where it is not hardneg's.

    hardneg's own parts change with its version, and what they cache is renamed by hand where that changes a number; of
    a user's nobody would do that, and after a change of the code the cache would answer with what the old one made.
    """
    kind: Any = type(part)
    code = code_of(kind)
    return identity if code is None else {**identity, "code": code}


@cache
def code_of(kind: type) -> str | None:
    """Hash the Python files that a class comes from: those of its package's folder, or its module; None for ours.

    None too where there are none, as in a notebook.
    """
    package = kind.__module__.partition(".")[0]
    if package == OURS:
        return None
    digest, files = blake2b(digest_size=12), sorted({file for one in own(kind, package) for file in files_of(one)})
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest() if files else None


def own(kind: type, package: str) -> list[type]:
    """The class, and those of the same package that it derives from."""
    return [one for one in kind.__mro__ if one.__module__.partition(".")[0] == package]


def files_of(kind: type) -> list[Path]:
    """The Python files beside a class's module and below, if the module is in a package; else its own."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        return []
    return sorted(Path(file).parent.rglob("*.py")) if "." in kind.__module__ else [Path(file)]
