"""Imports go one way, and what is expensive is imported late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

# From the bottom up; a module may import from its own layer and from those below. The longest prefix counts.
LAYERS = [
    [
        "errors",
        "identity",
        "status",
        "batch",
        "candidates",
        "schedule",
        "alarms",
        "allocator",
        "stores",
        "quiet",
        "whole",
    ],
    ["losses", "filters", "monitor", "distributed", "configs", "data", "run_config", "job", "sweep"],
    ["encoders", "embed", "precision", "fsdp", "retrieval", "negatives", "mining", "embedded"],
    ["checkpoint"],
    [
        "mining.dense",
        "mining.bi_encoder",
        "data.dataset",
        "data.loader",
        "data.datamodule",
        "runlog",
        "checks",
        "checks_fsdp",
        "preflight",
    ],
    ["optimised", "retrieval.reranker", "mining.cross_encoder"],
    ["module", "pair_module", "callbacks"],
    ["run_folder", "figure", "closing", "compare", "ab", "exchange", "serving", "stages"],
    ["prepare", "fit"],
    ["train", "evaluate", "mine", "mined", "index", "check", "resume", "renew"],
    ["probe", "train_teacher"],
    ["app"],
    ["cli"],
]
FILES = {".".join(path.relative_to(SRC).with_suffix("").parts): path for path in sorted(SRC.glob("hardneg/**/*.py"))}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


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


def layer(module):
    parts = module.removeprefix("hardneg.").split(".")
    for length in range(len(parts), 0, -1):
        for height, members in enumerate(LAYERS):
            if ".".join(parts[:length]) in members:
                return height
    raise AssertionError(f"{module} has no layer: give it one in {Path(__file__).name}")


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"hardneg"}))
def test_a_module_imports_only_from_its_layer_and_below(module):
    for other in imported(MODULES[module], late=True) & set(MODULES) - {"hardneg"}:
        assert layer(other) <= layer(module), f"{module} imports {other}, which is above it"


def test_no_circle_of_imports():
    graph = {name: imported(path, late=False) & set(MODULES) - {name} for name, path in MODULES.items()}
    while free := [name for name, needs in graph.items() if not needs]:
        for name in free:
            del graph[name]
        graph = {name: needs - set(free) for name, needs in graph.items()}
    assert not graph, f"these import each other: {sorted(graph)}"


def test_losses_and_filters_know_no_source_and_losses_no_data():
    may = {"hardneg.losses": ("losses",), "hardneg.filters": ("filters", "data")}
    for name, path in MODULES.items():
        for package, known in may.items():
            if name.startswith(package):
                ours = {other for other in imported(path, late=True) & set(MODULES) if other != "hardneg"}
                assert all(layer(other) == 0 or other.split(".")[1] in known for other in ours), name


@pytest.mark.parametrize(
    ("package", "home"),
    [
        ("torch.distributed", "hardneg.distributed"),
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


def test_there_is_no_utils_module():
    assert not [name for name in MODULES if name.rsplit(".", 1)[-1] in ("utils", "util", "helpers", "common", "misc")]


def test_the_command_starts_without_what_is_slow_to_import():
    code = (
        "import sys, hardneg.cli; print(sorted({'torch', 'hydra', 'numpy', 'lightning', 'wandb'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "slow", ["wandb", "transformers", "datasets", "matplotlib", "faiss", "qdrant_client", "lancedb", "psycopg"]
)
def test_what_is_slow_to_import_is_imported_where_it_is_used(slow):
    users = [
        m for m, path in MODULES.items() if any(f"{i}.".startswith(f"{slow}.") for i in imported(path, late=False))
    ]
    assert all(user.startswith("hardneg.runlog.") for user in users), users
