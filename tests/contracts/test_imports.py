"""Imports go one way, and what is expensive is imported late."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"

# The rooms as the page for developers lists them, turned to be from the bottom up.
ROOMS = [line.split()[0] for line in re.search(r"```rooms\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1].splitlines()][
    ::-1
]
FILES = {".".join(path.relative_to(SRC).with_suffix("").parts): path for path in sorted(SRC.glob("hardneg/**/*.py"))}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


@functools.cache
def imported(path, *, late):
    """The modules that a file imports when it is itself imported; with `late` also those inside functions."""

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{path}:{child.lineno}: imports are absolute here"
                yield child.module
                yield from (f"{child.module}.{alias.name}" for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            elif late or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk(child)

    return set(walk(ast.parse(path.read_text(encoding="utf-8"))))


def room(module):
    return module.split(".")[1]


def test_the_page_lists_the_rooms_that_there_are():
    assert sorted(ROOMS) == sorted({room(name) for name in MODULES if name != "hardneg"})


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"hardneg"}))
def test_a_module_imports_only_from_its_room_and_those_below(module):
    for other in imported(MODULES[module], late=True) & set(MODULES) - {"hardneg"}:
        assert ROOMS.index(room(other)) <= ROOMS.index(room(module)), f"{module} imports {other}, which is above it"


def test_no_circle_of_imports():
    graph = {name: imported(path, late=False) & set(MODULES) - {name} for name, path in MODULES.items()}
    while free := [name for name, needs in graph.items() if not needs]:
        for name in free:
            del graph[name]
        graph = {name: needs - set(free) for name, needs in graph.items()}
    assert not graph, f"these import each other: {sorted(graph)}"


def test_losses_and_filters_know_no_source_and_losses_no_data():
    may = {"hardneg.losses": ("losses",), "hardneg.filters": ("filters", "data")}
    always = ("errors", "matrix")
    for name, path in MODULES.items():
        for package, known in may.items():
            if name.startswith(package):
                ours = {other for other in imported(path, late=True) & set(MODULES) if other != "hardneg"}
                assert all(room(other) in (*always, *known) for other in ours), name


@pytest.mark.parametrize(
    ("package", "home"),
    [
        ("torch.distributed", "hardneg.system."),
        ("wandb", "hardneg.runlog."),
        ("fastapi", "hardneg.serving.http."),
        ("uvicorn", "hardneg.serving.http."),
    ],
)
def test_some_packages_are_imported_in_one_place_only(package, home):
    users = [
        m for m, path in MODULES.items() if any(f"{i}.".startswith(f"{package}.") for i in imported(path, late=True))
    ]
    assert users and all(user.startswith(home) for user in users)


def test_nothing_needs_what_is_for_tests():
    for name, path in MODULES.items():
        found = {one.split(".")[0] if not one.startswith("hardneg.") else one for one in imported(path, late=True)}
        assert "pytest" not in found, name
        assert room(name + ".") == "testing" or not [one for one in found if one.startswith("hardneg.testing")], name


def test_no_test_imports_from_another_and_no_two_modules_of_tests_have_one_name():
    """pytest imports them all by their bare names."""
    modules = [
        path for path in sorted((SRC.parent / "tests").rglob("*.py")) if path.stem not in ("conftest", "__init__")
    ]
    names = [path.stem for path in modules]
    assert len(names) > 300 and not [name for name in names if names.count(name) > 1]
    tests = {name for name in names if name.startswith("test_")}
    assert not [path.name for path in modules if imported(path, late=True) & tests]


def test_there_is_no_utils_module():
    assert not [name for name in MODULES if name.rsplit(".", 1)[-1] in ("utils", "util", "helpers", "common", "misc")]


@pytest.mark.parametrize(
    ("module", "slow"),
    [
        ("hardneg.cli", {"torch", "hydra", "numpy", "lightning", "wandb", "importlib.metadata"}),
        ("hardneg.sweep.hydra_app", {"torch", "numpy", "lightning", "wandb", "rich"}),
        ("hardneg.data.open_set", {"torch", "lightning", "pandas"}),
        ("hardneg.compare.finished_runs", {"torch", "lightning", "pandas", "scipy", "pyarrow.dataset"}),
        ("hardneg.ab.terminal_report", {"torch", "lightning", "pandas", "pyarrow.dataset"}),
    ],
)
def test_what_starts_or_reads_does_without_what_is_slow_to_import(module, slow):
    code = f"import sys, {module}; print(sorted({slow!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "slow", ["wandb", "transformers", "datasets", "matplotlib", "faiss", "qdrant_client", "lancedb", "psycopg"]
)
def test_what_is_slow_to_import_is_imported_where_it_is_used(slow):
    users = [
        m for m, path in MODULES.items() if any(f"{i}.".startswith(f"{slow}.") for i in imported(path, late=False))
    ]
    assert not users
