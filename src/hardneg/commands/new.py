"""hardneg new: start a package of your own."""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import hardneg
from hardneg.config import studies
from hardneg.errors import UserError

EXAMPLES = """examples:
  hardneg new my_study                  # ./my_study with negatives=my_source, loss=my_loss, filter=my_filter
  cd my_study && make setup test train  # install it, test the contracts, train
"""
SUFFIX = ".jinja"
RENAMED = {"gitignore": ".gitignore"}


def main(arguments: Sequence[str]) -> None:
    """Write the package and say what to do next; raises `UserError` for a name or folder that cannot be taken."""
    parser = argparse.ArgumentParser(
        prog="hardneg new",
        description="Create a package for your own parts: a source of negatives, a loss, a filter and a metric, their"
        " yamls, an experiment, tests of hardneg's contracts, and a Makefile. Once it is installed (pip install -e),"
        " every hardneg command finds it from any folder.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a new folder, with the name of the package: letters, digits and _")
    folder: Path = parser.parse_args(arguments).folder
    files = write(folder.expanduser())
    listed = "".join(f"  {file}\n" for file in files)
    sys.stdout.write(
        f"{folder} is written:\n{listed}\nNext:\n  cd {folder}\n  make setup   # pip install -e . for {sys.executable}"
        "\n  make test train\n"
    )


def write(folder: Path) -> list[str]:
    """Write the study atomically; return its files, relative to the folder.

    Raises `UserError` for a folder that exists already, or cannot be written.
    """
    check_name(folder.name)
    if folder.exists():
        raise UserError(f"{folder} already exists; choose another name, or move it")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder to write {folder.name} into")
    made = rendered(folder.name)
    _check_options(folder.name, made)
    draft = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.draft")
    try:
        for place, text in made.items():
            (draft / place).parent.mkdir(parents=True, exist_ok=True)
            (draft / place).write_text(text, encoding="utf-8")
        draft.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(made)


def check_name(name: str) -> None:
    """Raise `UserError` unless a Python package may have this name, and none has it here."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        near = re.sub(r"\W+", "_", name.lower()).strip("_").lstrip("0123456789_")
        meant = f"; did you mean {near}?" if near and near != name and not keyword.iskeyword(near) else ""
        raise UserError(f"{name!r} cannot be a package's name: lowercase letters, digits and _ make one{meant}")
    if name in sys.stdlib_module_names or name in studies.packages() or _is_installed(name):
        raise UserError(f"a package called {name} is installed here already; choose another name")


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None  # a mere folder of that name is not a package


def rendered(study: str) -> dict[str, str]:
    """Return the text of every file of a study, by its place in the folder."""
    from jinja2 import Environment, StrictUndefined

    stem = study.removesuffix("_study")
    names = {"study": study, "stem": stem, "Stem": "".join(word.title() for word in stem.split("_"))}
    jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    top = Path(str(resources.files("hardneg"))) / "study_template"
    made = {}
    for path in sorted(top.rglob(f"*{SUFFIX}")):
        place = path.relative_to(top).as_posix().removesuffix(SUFFIX)
        place = RENAMED.get(place, place).replace("STUDY", study).replace("STEM", stem)
        text = path.read_text(encoding="utf-8")
        made[place] = jinja.from_string(text).render(version=hardneg.__version__, **names)
    return made


def _check_options(study: str, made: dict[str, str]) -> None:
    """Raise `UserError` where hardneg or an installed study has an option of the same name."""
    folders = {"hardneg": studies.own_folder(), **studies.conf_folders()}
    inside = f"src/{study}/conf/"
    for place in made:
        for package, folder in folders.items():
            option = place.removeprefix(inside)
            if place.startswith(inside) and place.endswith(".yaml") and (folder / option).exists():
                name = option.removesuffix(".yaml").replace("/", "=")
                raise UserError(f"{study} would have {name}, which {package} has already; choose another name")
