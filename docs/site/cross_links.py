"""What the Python pages of the reference show, and links to it from docstrings.

A docstring names code in backticks, as `Candidates` or `hardneg.mining.health`, and reads well by help(). On the site
each such name that is documented becomes a link. mkdocstrings loads `CrossLinks` (see mkdocs.yml).
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Any

from griffe import Extension

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
# Rooms whose modules are shown: what one's own code and tests are made from. The others are how commands work.
ROOMS = (
    "matrix",
    "negatives",
    "losses",
    "filters",
    "pairs",
    "mining",
    "teachers",
    "encoders",
    "data",
    "retrieval",
    "training",
    "serving",
    "exchange",
    "compare",
    "testing",
)
DEFINED = (ast.ClassDef, ast.FunctionDef)
CODE = re.compile(r"(?<![\[`])`([A-Za-z_][\w.]*)`(?![`\]])")


def modules_of(room: str) -> list[str]:
    """The modules of a room that define something public, by dotted path."""
    found = (path for path in sorted((SOURCE / "hardneg" / room).rglob("*.py")) if path.stem != "__init__")
    return [dotted(path) for path in found if public(path)]


def dotted(path: Path) -> str:
    """A file's module."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def public(path: Path) -> dict[str, ast.stmt]:
    """The public classes and functions of a file that have a docstring."""
    body = ast.parse(path.read_text()).body
    return {n.name: n for n in body if isinstance(n, DEFINED) and not n.name.startswith("_") and ast.get_docstring(n)}


@functools.cache
def documented() -> dict[str, list[str]]:
    """Where the site has modules, classes, functions and methods, by dotted path and by what docstrings call them."""
    import hardneg

    homes = [(f"hardneg.{name}", f"{home}.{name}") for name, home in hardneg._HOMES.items()]
    shown = [home for _, home in homes]
    for module in ["hardneg.errors", *(one for room in ROOMS for one in modules_of(room))]:
        shown.append(module)
        for name, node in public(SOURCE / f"{module.replace('.', '/')}.py").items():
            shown.append(f"{module}.{name}")
            if isinstance(node, ast.ClassDef):
                methods = (one.name for one in node.body if isinstance(one, DEFINED) and ast.get_docstring(one))
                shown += [f"{module}.{name}.{method}" for method in methods if not method.startswith("_")]
    found: dict[str, list[str]] = {}
    for name, path in [*homes, *((path, path) for path in shown), *((bare(path), path) for path in shown)]:
        if name and path not in found.setdefault(name, []):
            found[name].append(path)
    return found


def bare(path: str) -> str:
    """What a docstring calls it: `Class`, `Class.method`, or `room.module`; empty for what has no such name."""
    parts = path.removeprefix("hardneg.").split(".")
    classes = [n for n, part in enumerate(parts) if part[0].isupper()]
    return ".".join(parts[classes[0] :]) if classes else ".".join(parts) if len(parts) > 1 else ""


def target(name: str, module: str) -> str | None:
    """What a name in the docstring of something in `module` means, if the site shows it and it is no other's too."""
    there = documented().get(name, [])
    if len(there) > 1:  # the nearest: of the same module, else of the same room
        for around in (module, module.rpartition(".")[0]):
            near = [path for path in there if path.startswith(f"{around}.")]
            if len(near) == 1:
                return near[0]
    return there[0] if len(there) == 1 else None


def linked(text: str, module: str) -> str:
    """A docstring whose names lead to what they name."""

    def link(found: re.Match[str]) -> str:
        there = target(found.group(1), module)
        return f"[{found.group()}][{there}]" if there else found.group()

    return CODE.sub(link, text)


class CrossLinks(Extension):
    """Links the names in every docstring that mkdocstrings shows."""

    def on_package(self, *, pkg: Any, **kwargs: Any) -> None:
        """Go through what was read of the package."""
        _link_all(pkg)


def _link_all(one: Any) -> None:
    if one.docstring:
        one.docstring.value = linked(one.docstring.value, one.module.path)
    for member in one.members.values():
        if not member.is_alias:
            _link_all(member)
