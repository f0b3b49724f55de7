"""Packages of your own: what is installed under the entry point `hardneg.studies` adds its classes and its yamls.

Installing a package means trusting it; a config from elsewhere still cannot name anything that was not installed for
it.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

from hardneg.errors import ConfigError

GROUP = "hardneg.studies"


@cache
def packages() -> tuple[str, ...]:
    """The packages, by name: what `[project.entry-points."hardneg.studies"]` of installed projects point to."""
    return tuple(sorted({entry.value for entry in metadata.entry_points(group=GROUP)}))


def own_folder() -> Path:
    """The folder of hardneg's own yamls."""
    return Path(str(resources.files("hardneg.conf")))


@cache
def conf_folders() -> dict[str, Path]:
    """The folder `conf` of each package that has one.

    Raises `ConfigError` for a package that is no longer in its place, and for an option in two folders, hardneg's own
    included, which would be ambiguous.
    """
    found: dict[str, Path] = {}
    for package in packages():
        spec = find_spec(package)  # this finds the package without running it, so that help stays light
        if spec is None or spec.origin is None:
            raise ConfigError(
                f"the package {package}, which is installed under the entry point {GROUP}, is not where it was:"
                f" pip install -e its folder again, or pip uninstall {package}"
            )
        folder = Path(spec.origin).parent / "conf"
        if folder.is_dir():
            found[package] = folder
    _check_once({"hardneg": own_folder(), **found})
    return found


def _check_once(folders: dict[str, Path]) -> None:
    """Raise `ConfigError` for a yaml that is in two of these folders under the same name."""
    first: dict[Path, str] = {}
    for package, folder in folders.items():
        for path in sorted(folder.rglob("*.yaml")):
            option = path.relative_to(folder)
            if option in first:
                raise ConfigError(
                    f"{option.as_posix()} is both in {first[option]} and in {package} ({path}): rename one, in its"
                    " first line too, or pip uninstall the package"
                )
            first[option] = package
