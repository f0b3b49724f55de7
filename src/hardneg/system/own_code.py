"""The code of a user's own part, which belongs to the name of whatever is cached of what it makes."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

OURS = __name__.partition(".")[0]
KEY = "its code"  # no setting can have this name
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))


def with_code_of(part: Any, identity: dict[str, Any]) -> dict[str, Any]:
    """Return what names a part's work, with the part's code where it is not hardneg's.

    hardneg's own parts change with its version, and what they cache is renamed by hand where that changes a number; of
    a user's nobody would do that, and after a change of the code the cache would answer with what the old one made.
    """
    code = code_of(type(part))
    return identity if code is None else {**identity, KEY: code}


def identity_of(part: Any) -> dict[str, Any]:
    """Return the identity of a filter, miner, teacher or search, with its code where it is a user's."""
    return with_code_of(part, part.identity())


def code_of(kind: type) -> str | None:
    """Hash the Python files of the package of a class, and of those of its bases that are a user's too; None for ours.

    The first call decides for the process, so it belongs where the class has just been imported. None too where there
    are no files, as in a notebook.
    """
    own, *bases = (one.__module__.partition(".")[0] for one in kind.__mro__)
    if own == OURS:
        return None
    packages = {own, *(package for package in bases if package != OURS and not is_library(package))}
    return hashed(tuple(sorted(packages)))


@cache
def hashed(packages: tuple[str, ...]) -> str | None:
    """Hash the Python files of these packages, once a process; None where there are none."""
    digest, found = blake2b(digest_size=12), False
    for package in packages:
        for file in files_of(package):
            digest.update(file.read_bytes())
            found = True
    return digest.hexdigest() if found else None


def is_library(package: str) -> bool:
    """Whether a package was installed, as torch, or is Python's own."""
    places = map(Path, places_of(package))
    return all(any(place.is_relative_to(folder) for folder in LIBRARIES) for place in places)


def files_of(package: str) -> Iterator[Path]:
    """Yield the Python files of a package, or the one of a module, in an order that does not depend on where they are.

    Hidden ones are left out, such as what editors and notebooks leave beside a file.
    """
    for place in map(Path, places_of(package)):
        if place.is_file():
            yield place
        for file in sorted(place.rglob("*.py")) if place.is_dir() else ():
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(place).parts):
                yield file


def places_of(package: str) -> list[str]:
    """The folders of a package, or the file of a module."""
    module = sys.modules.get(package)
    file = getattr(module, "__file__", None)
    return list(getattr(module, "__path__", [file] if file else []))
