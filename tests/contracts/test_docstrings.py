"""Docstrings say what a caller must know: which of our errors to expect, and names that exist."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "hardneg"
ERRORS = {"UserError", "ConfigError", "DataError"}
DEFINED = (ast.ClassDef, ast.FunctionDef)


@functools.cache
def modules() -> dict[Path, ast.Module]:
    """All of the source, parsed: not when tests are collected, which each process of them does."""
    return {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


def public(body: list[ast.stmt], of: tuple[ast.ClassDef, ...] = ()) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Every public function, and every constructor, with what its own docstring and its class's say."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, (*of, node))
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or "init__" in node.name):
            yield node, "\n".join(ast.get_docstring(one) or "" for one in (*of, node))


def raised(function: ast.FunctionDef) -> set[str]:
    calls = [node.exc for node in ast.walk(function) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)} & ERRORS


def test_a_docstring_names_the_errors_that_a_user_can_mend():
    silent = [
        f"{path.relative_to(SOURCE)}: {function.name} raises {error}"
        for path, module in modules().items()
        for function, said in public(module.body)
        for error in raised(function)
        if error not in said and (path.parent.name, function.name) != ("commands", "main")  # all of them do
    ]
    assert not silent, "\n".join(silent)


def there(name: str) -> bool:
    """Whether `room.module`, or something in it, exists."""
    parts = name.removeprefix("hardneg.").split(".")
    for n in range(len(parts), 0, -1):
        stem = SOURCE.joinpath(*parts[:n])
        path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if path not in modules():
            continue
        body: list[ast.stmt] = modules()[path].body
        for part in parts[n:]:
            names = {node.name: node for node in body if isinstance(node, DEFINED)}
            assigned = re.search(rf"^\s*(self\.)?{part}\b.*[:=]", path.read_text(), flags=re.MULTILINE)
            if part not in names:
                return assigned is not None
            body = names[part].body
        return True
    return False


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()))
def test_a_docstring_names_code_that_is_there(room):
    named = {
        (path.relative_to(SOURCE), name)
        for path, module in modules().items()
        if path.parent == SOURCE / room or SOURCE / room in path.parents
        for node in ast.walk(module)
        if isinstance(node, (ast.Module, *DEFINED))
        for name in re.findall(r"`(hardneg\.\w+\.[\w.]+)`", ast.get_docstring(node) or "")
    }
    assert not [f"{path}: {name}" for path, name in named if not there(name)]
