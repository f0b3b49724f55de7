"""What studies and notebooks take from the package is there: nobody runs them, which take minutes, after a rename."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*(ROOT / "experiments").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")])


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_study_imports_is_there(path):
    tree = ast.parse(source(path))
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("hardneg"):
            continue
        for alias in node.names:
            found = had(node.module, alias.name)
            assert found is not None, f"line {node.lineno}: {node.module} has no {alias.name}"
            if isinstance(found, ModuleType):
                modules[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            assert hasattr(module, node.attr), f"line {node.lineno}: {module.__name__} has no {node.attr}"


def source(path: Path) -> str:
    """Return the Python of a file, or of a notebook's cells without their magic."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def had(module: str, name: str) -> object:
    """Return what a module has by a name, be it a module itself; None where it has nothing."""
    outer = importlib.import_module(module)
    inside = getattr(outer, name, None)
    if inside is None and hasattr(outer, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None:
        return importlib.import_module(f"{module}.{name}")
    return inside
