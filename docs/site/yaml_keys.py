"""What a yaml of conf/ says of itself: its keys with defaults and the comments beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

PACKAGE = re.compile(r"#\s*@package\s+(\S+)")


@dataclass
class Key:
    """One key that can be given on the command line, with its whole dotted path."""

    name: str
    default: str
    comment: str
    line: int


@dataclass
class Described:
    """A yaml: what it is (comments before the first key), the class that it makes, its keys, what stands at its end."""

    package: str | None
    about: str
    target: str | None
    defaults: str
    keys: list[Key] = field(default_factory=list)
    after: str = ""


def describe(path: Path, prefix: str) -> Described:
    """Read a yaml; keys begin with its `@package`, or with `prefix`."""
    text = path.read_text()
    lines = text.splitlines()
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    given = PACKAGE.search(text)
    package = given.group(1) if given else None
    start = "" if package == "_global_" else package or prefix
    entries = list(node.value) if isinstance(node, yaml.MappingNode) else []
    first = entries[0][0].start_mark.line if entries else len(lines)
    about = _joined(line for line in lines[:first] if not PACKAGE.search(line))
    told = {key.value: value for key, value in entries}
    chosen = [_comment(lines, key.start_mark.line, first) for key, _ in entries if key.value == "defaults"]
    found = Described(
        package,
        " ".join(filter(None, [about, *chosen])),
        told["_target_"].value if "_target_" in told else None,
        _shown(told["defaults"], text) if "defaults" in told else "",
    )
    skipped = ("_target_", "_partial_", "_recursive_", "defaults", "hydra")
    found.keys = [
        one
        for key, value in entries
        if key.value not in skipped
        for one in _keys(key, value, start, lines, text, top=first)
    ]
    if found.keys:
        found.after = _joined(lines[_last_line(lines) + 1 :])
    return found


def _keys(key: yaml.Node, value: yaml.Node, start: str, lines: list[str], text: str, top: int) -> Iterator[Key]:
    """A key, and below it those of the mapping that it holds."""
    if key.value in ("_target_", "_partial_"):
        return
    name = f"{start}.{key.value}" if start else key.value
    number = key.start_mark.line
    comment = _comment(lines, number, top)
    nested = isinstance(value, yaml.MappingNode) and bool(value.value)
    if not nested:
        if isinstance(value, yaml.SequenceNode):
            comment = "; ".join(filter(None, [comment, *_within(value, lines)]))
        yield Key(name, _shown(value, text), comment, number)
        return
    inner = [(k, v) for k, v in value.value if k.value not in ("_target_", "_partial_")]
    target = next((v.value.rpartition(".")[2] for k, v in value.value if k.value == "_target_"), "")
    one_line = value.start_mark.line == number
    if comment or target or not inner:
        yield Key(name, target, comment, number)
    for k, v in inner:
        for one in _keys(k, v, name, lines, text, top):
            if one_line and one.comment == comment:
                one.comment = ""
            yield one


def _within(value: yaml.SequenceNode, lines: list[str]) -> Iterator[str]:
    """What is said of the keys of mappings that stand in a list; by themselves they cannot be given."""
    for item in value.value:
        for key, _ in item.value if isinstance(item, yaml.MappingNode) else []:
            number = key.start_mark.line
            if number > value.start_mark.line and (said := _comment(lines, number, number)):
                yield f"{key.value}: {said}"


def _shown(node: yaml.Node, text: str) -> str:
    """A value as the yaml writes it, on one line."""
    written = text[node.start_mark.index : node.end_mark.index]
    written = "\n".join(re.sub(r"\s+#\s.*$", "", line) for line in written.splitlines())
    if isinstance(node, yaml.ScalarNode) or written.startswith(("[", "{")):
        return " ".join(written.split())
    value = yaml.load(written and _dedented(node, text), Loader=yaml.SafeLoader)
    return " ".join(yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).split())


def _dedented(node: yaml.Node, text: str) -> str:
    """A block as it would stand at the beginning of a line."""
    return " " * node.start_mark.column + text[node.start_mark.index : node.end_mark.index]


def _comment(lines: list[str], number: int, top: int) -> str:
    """What stands behind a key, after what stands in lines of its own above it."""
    above: list[str] = []
    indent = len(lines[number]) - len(lines[number].lstrip())
    for line in reversed(lines[top:number]):
        if not line.strip().startswith("#") or len(line) - len(line.lstrip()) != indent:
            break
        above.insert(0, line)
    behind = re.search(r"\s#\s(.*)$", lines[number])
    said = [_joined(above), *([behind.group(1).strip(), *_going_on(lines, number, behind)] if behind else [])]
    return " ".join(filter(None, said))


def _going_on(lines: list[str], number: int, behind: re.Match[str]) -> Iterator[str]:
    """The lines below that go on with what stands behind a key: comments at the same column."""
    column = behind.start() + 1
    for line in lines[number + 1 :]:
        if not line.strip().startswith("#") or line.index("#") != column:
            return
        yield line.strip().lstrip("#").strip()


def _joined(lines: Iterator[str] | list[str]) -> str:
    return " ".join(line.strip().lstrip("#").strip() for line in lines if line.strip().startswith("#"))


def _last_line(lines: list[str]) -> int:
    """The last line that is no comment."""
    return max((n for n, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")), default=0)
