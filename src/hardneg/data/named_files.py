"""Which files a recipe of a data set names, and the recipe as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hardneg.data.readers.folders import files_below
from hardneg.data.readers.hub_judged import judgements_beside
from hardneg.system import own_code

# Settings of recipes that are no files to read, though there may be a file or folder of that name, such as `train`. A
# cache is different after every run.
NO_INPUTS = frozenset(
    {
        "kind",
        own_code.KEY,
        "name",
        "cache",
        "config",
        "split",
        "subset",
        "revision",
        "language",
        "fields",
        "columns",
        "prompts",
    }
)


def named_files(recipe: Any, cache: Path | None = None) -> Iterator[Path]:
    """Yield every file that a recipe names, as a path or in a folder, once; of a mixture those of all its sets.

    Names may go from the recipe's `path` on. Links to folders are followed, as readers follow them, and what runs that
    were begun in a folder have written there is left out (see `files_below`), and so is a cache that lies in one.
    """
    found: dict[Path, None] = {}
    for path in _paths(plain(recipe)):
        if _asked(path.is_file):
            found[path.absolute()] = None
        elif _asked(path.is_dir):
            found |= dict.fromkeys(sorted(files_below(path.absolute(), by_all_names=True, but_for=cache)))
    yield from found


def _asked(is_there: Callable[[], bool]) -> bool:
    try:
        return is_there()
    except (OSError, ValueError):  # such as a prompt, which is longer than any name of a file
        return False


def plain(recipe: Any) -> Any:
    """Write a recipe, and those within it, as plain values."""
    if is_dataclass(recipe) and not isinstance(recipe, type):
        named = {field.name: plain(getattr(recipe, field.name)) for field in fields(recipe)}
        return own_code.with_code_of(recipe, {"kind": type(recipe).__qualname__, **named})
    if isinstance(recipe, Mapping):
        return {str(key): plain(value) for key, value in recipe.items()}
    if isinstance(recipe, list | tuple):
        return [plain(value) for value in recipe]
    return recipe if isinstance(recipe, str | int | float | bool | None) else str(recipe)


def _paths(node: Any, beside: str = "") -> Iterator[Path]:
    """Yield what may be a path: each text in a plain recipe, as it is and from the recipe's own path on.

    Of a set named by its repository also where its judgements may lie.
    """
    if isinstance(node, str) and node:
        yield Path(node).expanduser()
        if beside:
            yield Path(beside).expanduser() / Path(node).expanduser()
    elif isinstance(node, list):
        for value in node:
            yield from _paths(value, beside)
    elif isinstance(node, Mapping):
        of_recipe = isinstance(node.get("kind"), str)  # else names are those of sets, splits or columns
        own = node.get("path") if of_recipe else None
        if of_recipe and isinstance(node.get("repo"), str):
            yield Path(judgements_beside(node["repo"]))
        for key, value in node.items():
            if not of_recipe or key not in NO_INPUTS:
                yield from _paths(value, own or beside)
