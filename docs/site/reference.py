"""The pages of the reference, written from what they describe, so that they cannot go stale.

Commands are described by their own --help, config by the comments of the yamls and the docstrings of the classes that
they make, Python by its docstrings. `python docs/site/reference.py FOLDER` writes the pages as Markdown; the site's
hook (`hooks.py`) takes them from `pages()`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import re
import sys
from pathlib import Path

import yaml
from cross_links import ROOMS, linked, modules_of, target
from yaml_keys import Described, Key, describe

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
SHOWN_WHOLE = ("experiment", "strategy", "debug", "race")  # settings of other groups: their yaml says it best

# What a part of one's own is made from: what it is derived from, or takes.
PARTS = {
    "a source of negatives": "hardneg.negatives.base",
    "a curriculum's pace": "hardneg.negatives.curriculum_pace",
    "a loss": "hardneg.losses.base",
    "a filter": "hardneg.filters.base",
    "a rule for pairs": "hardneg.pairs.base",
    "a miner": "hardneg.mining.base",
    "a teacher": "hardneg.teachers.base",
    "an encoder": "hardneg.encoders.base",
    "an index": "hardneg.serving.backends.base",
    "what all of them see: the batch": "hardneg.matrix.batch",
    "the score matrix": "hardneg.matrix.candidates",
}


@functools.cache
def pages() -> dict[str, str]:
    """Every page by its path under docs/."""
    found = {"reference/commands/index.md": commands_index()}
    found |= {command_page_of(name): command_page(name) for name in commands()}
    found |= {"reference/config/index.md": config_index()}
    found |= {f"reference/config/{page_of(group)}.md": group_page(group) for group in groups()}
    found |= {room_page_of(room): room_page(room) for room in ROOMS}
    return found | {"reference/python/index.md": python_page(), "reference/index.md": index()}


def index() -> str:
    """Where what is."""
    rows = [
        (
            "[Commands](commands/index.md)",
            "what each command does, its `--help`, and the keys of `hardneg train` ...",
        ),
        ("[Configuration](config/index.md)", "every group, option and key, with default and meaning"),
        ("[Metrics](../metrics.md)", "every column of `metrics.csv`, and what W&B shows"),
        ("[Files of a run](../guides/runs.md)", "checkpoints, results, mined lists, the cache"),
        ("[Python](python/index.md)", "`import hardneg`; the base classes of your own sources, losses and filters"),
    ]
    head = "# Reference\n\nGenerated from the code, the comments in its configuration and its docstrings.\n\n"
    return head + table(("", ""), rows)


# Commands


def commands() -> list[str]:
    """Every command, those of two words too."""
    from hardneg.cli import COMMANDS, PLAIN

    return [*COMMANDS, *(name for name in PLAIN if " " in name)]


def command_page_of(name: str) -> str:
    """Where a command's page is; never index.md, which is the list."""
    return f"reference/commands/hardneg-{name.replace(' ', '-')}.md"


def commands_index() -> str:
    """What there is, a line a command."""
    from hardneg.cli import COMMANDS

    rows = [(f"[`hardneg {name}`](hardneg-{name}.md)", escaped(text)) for name, text in COMMANDS.items()]
    return "# Commands\n\nThese pages show what `hardneg COMMAND --help` prints.\n\n" + table(("command", "does"), rows)


def command_page(name: str) -> str:
    """A command's help, and of a Hydra app the keys of its config."""
    text = f"# hardneg {name}\n\n```text\n{help_of(name)}\n```\n"
    config = CONF / f"{name.replace('-', '_')}.yaml"
    if not config.exists() or " " in name:
        return text
    described = describe(config, "")
    chosen = [word for word in dict.fromkeys(re.findall(r"(\w+):", described.defaults)) if (CONF / word).is_dir()]
    links = ", ".join(f"[`{word}=`](../config/{page_of(word)}.md)" for word in chosen)
    text += f"\n## Keys\n\nSet them with `KEY=VALUE`; the selected options of {links} have further keys.\n\n"
    own = [key for key in described.keys if key.default != "{}"]
    return text + key_table(own)


def help_of(name: str) -> str:
    """What `hardneg NAME --help` prints, as wide as a page is."""
    from hardneg.cli import run

    printed, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "96"
    try:
        with contextlib.redirect_stdout(printed):
            run(*name.split(), "--help")
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return printed.getvalue().strip()


# Config


def groups() -> list[str]:
    """Every folder of conf/ that holds options, as the command line calls it."""
    folders = {path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {"."}
    return sorted(group for group in folders if not group.startswith("experiment/") and "_logging" not in group)


def groups_of_several() -> list[str]:
    """The groups of which several options are chosen at once: those whose default in train.yaml is a list."""
    defaults = yaml.safe_load((CONF / "train.yaml").read_text())["defaults"]
    return [
        group for one in defaults if isinstance(one, dict) for group, chosen in one.items() if isinstance(chosen, list)
    ]


def page_of(group: str) -> str:
    """A group's page, never index.md, which is the list; a group within a group has one of its own."""
    return f"{group.replace('/', '-')}-options"


def options(group: str) -> list[Path]:
    """The options of a group; recipes in stages are options of `experiment`."""
    if group == "experiment":
        return sorted(path for path in (CONF / group).rglob("*.yaml") if path.stem != "stages")
    return sorted((CONF / group).glob("*.yaml"))


def config_index() -> str:
    """The groups, with their options."""
    rows = [
        (
            f"[`{group}=`]({page_of(group)}.md)",
            ", ".join(f"[`{n}`]({page_of(group)}.md#{anchor(n)})" for n in names(group)),
        )
        for group in groups()
    ]
    head = (
        "# Configuration\n\nSelect an option of a group with `GROUP=OPTION`, or several with `'GROUP=[A,B]'` for"
        f" {', '.join(f'`{group}`' for group in groups_of_several())}; set its keys with `KEY=VALUE`."
        " `hardneg train ... --cfg job` prints the composed config. Keys outside the groups are on the pages of the"
        " [commands](../commands/index.md).\n\n"
    )
    return head + table(("group", "options"), rows)


def names(group: str) -> list[str]:
    """An option as it is written on the command line."""
    return [path.relative_to(CONF / group).with_suffix("").as_posix() for path in options(group)]


def group_page(group: str) -> str:
    """Every option of a group: what it is, what class it makes, its keys."""
    text = f"# {group}=\n\n"
    for name, path in zip(names(group), options(group), strict=True):
        text += f"## {name}\n\n" + option(group, name, path)
    return text


def option(group: str, name: str, path: Path) -> str:
    """One option."""
    described = describe(path, group.replace("/", "."))
    parts = [escaped(described.about)]
    if described.target:
        parts.append(of_class(described.target))
    if group in SHOWN_WHOLE:
        parts.append(f"```yaml\n{without_head(path)}\n```")
    else:
        if bases := bases_of(group, described):
            parts.append(
                f"Starts from {' and '.join(f'[`{base}`](#{anchor(base)})' for base in bases)}; the differences:"
            )
        parts.append(key_table(described.keys) if described.keys else "")
        parts.append(escaped(described.after))
    return "\n\n".join(part for part in parts if part) + "\n\n"


def bases_of(group: str, described: Described) -> list[str]:
    """Which options of its own group an option begins with."""
    return [base for base in re.findall(r"[\w/]+", described.defaults) if (CONF / group / f"{base}.yaml").exists()]


def of_class(made: str) -> str:
    """The class that an option makes, with its docstring where it is ours."""
    doc = docstring(made)
    module = made.rpartition(".")[0]
    name = f"[`{made}`][{made}]" if target(made, module) else f"`{made}`"
    return f"Class: {name}." + (f"\n\n{linked(quoted(doc), module)}" if doc else "")


def docstring(target: str) -> str:
    """The docstring of a class or function of ours, read without importing it; empty for others."""
    module, _, name = target.rpartition(".")
    path = ROOT / "src" / f"{module.replace('.', '/')}.py"
    if not path.exists():
        return ""
    kinds = (ast.ClassDef, ast.FunctionDef)
    found = (node for node in ast.parse(path.read_text()).body if isinstance(node, kinds) and node.name == name)
    return next((ast.get_docstring(node) or "" for node in found), "")


def without_head(path: Path) -> str:
    """A yaml without the lines that are said above it."""
    lines = path.read_text().splitlines()
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    return "\n".join(lines[start:]).rstrip()


# Python


def python_page() -> str:
    """What `import hardneg` offers, and where the rest is."""
    import hardneg

    homes = hardneg._HOMES
    lines = ["# Python", "`import hardneg` offers these; [the guide](../../guides/python.md) shows how to use them."]
    lines += [f"::: {homes[name]}.{name}" for name in hardneg.__all__ if name in homes]
    lines += ["## Errors", "::: hardneg.errors\n    options: {heading_level: 3, show_root_heading: false}"]
    lines += [
        "## Your own parts",
        "[The guide](../../guides/your_own_parts.md) shows how; these modules have the base classes and their inputs:",
    ]
    rows = [(f"[{what}][{module}]", f"`{module}`") for what, module in PARTS.items()]
    lines += [table(("", ""), [*rows, ("[their contracts, for tests](testing.md)", "`hardneg.testing`")])]
    lines += ["## By room", "[The map of the code](../../architecture.md) says what each room may import."]
    lines += [table(("", ""), [(f"[{room}]({room}.md)", escaped(about_rooms()[room])) for room in ROOMS])]
    return "\n\n".join(lines) + "\n"


def room_page_of(room: str) -> str:
    """Where a room's page is."""
    return f"reference/python/{room}.md"


def room_page(room: str) -> str:
    """All that a room offers, module by module."""
    lines = [f"# hardneg.{room}", f"This room: {escaped(about_rooms()[room])}."]
    lines += (
        ["::: hardneg.testing\n    options: {show_root_heading: false, members: false}"] if room == "testing" else []
    )
    return "\n\n".join([*lines, *(f"::: {module}" for module in modules_of(room))]) + "\n"


@functools.cache
def about_rooms() -> dict[str, str]:
    """What the map of the code says of each room."""
    said = re.search(r"```rooms\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), flags=re.DOTALL)
    return dict(line.split(maxsplit=1) for line in said.group(1).splitlines()) if said else {}


# Markdown


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table whose cells are Markdown already."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def key_table(keys: list[Key]) -> str:
    """Keys, their defaults, and what the yaml says of them."""
    return table(("key", "default", ""), [(code(key.name), code(key.default), escaped(key.comment)) for key in keys])


def code(text: str) -> str:
    """As code in a cell, whatever it holds."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def escaped(text: str) -> str:
    """Prose that Markdown would read otherwise, such as a list in brackets or a <placeholder>; code is left alone."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([\[\]*|])", r"\\\1", part.replace("<", "&lt;")) for part in parts[::2]]
    return "".join(parts)


def quoted(text: str) -> str:
    """A docstring as a block quote."""
    return "\n".join(f"> {escaped(line)}".rstrip() for line in text.splitlines())


def anchor(name: str) -> str:
    """A heading's anchor, as Python-Markdown makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", name).strip().lower())


if __name__ == "__main__":
    for where, text in pages().items():
        target = Path(sys.argv[1]) / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
