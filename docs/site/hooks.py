"""What the site adds to the pages under docs/: the reference, and links that leave docs/.

A page's links are relative to where it lies in the repository. On the site, what lies outside docs/ is a page of the
site where there is one, a file of the repository where pyproject.toml says where that is, and else its path as text.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import notebooks
import reference

ROOT = Path(__file__).resolve().parents[2]
STUDIES = {
    path.relative_to(ROOT).as_posix(): f"studies/{path.parent.name}.md"
    for path in sorted(ROOT.glob("experiments/*/README.md"))
}
# In the order of the guides that they go with.
NOTEBOOKS = [
    ROOT / "notebooks" / f"{name}.ipynb"
    for name in ("quickstart", "look_at_negatives", "compare_strategies", "write_a_source")
]
# Files outside docs/ that the site shows as pages.
SHOWN = {
    "notebooks/README.md": "notebooks/index.md",
    **{path.relative_to(ROOT).as_posix(): f"notebooks/{path.stem}.md" for path in NOTEBOOKS},
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "conf/experiment/README.md": "reference/config/recipes.md",
    "experiments/README.md": "studies/index.md",
    **STUDIES,
}
CONTRIBUTE = [{"How to contribute": "contributing.md"}, {"Changes": "changelog.md"}]
PICTURES = (".png", ".svg")
WIDTH = 88  # characters of code that a page has room for
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\\.)*)\]\(([^)\s]+)\)")


def titled(path: Path) -> str:
    """What the navigation calls a notebook."""
    return path.stem.replace("_", " ").capitalize()


def generated() -> dict[str, str]:
    """Every page that is not a file under docs/."""
    return reference.pages() | {page: text_of(path) for path, page in SHOWN.items()}


def text_of(path: str) -> str:
    """A file outside docs/ as Markdown."""
    there = ROOT / path
    return notebooks.markdown(there) if there.suffix == ".ipynb" else there.read_text()


def nav_of_reference() -> list[Any]:
    """The reference's part of the navigation, in front of what mkdocs.yml puts there; Python comes behind it."""
    commands = [reference.command_page_of(name) for name in reference.commands()]
    config = [{f"{group}=": f"reference/config/{reference.page_of(group)}.md"} for group in reference.groups()]
    return [
        "reference/index.md",
        {"Commands": ["reference/commands/index.md", *commands]},
        {"Configuration": ["reference/config/index.md", *config, {"Recipes": SHOWN["conf/experiment/README.md"]}]},
    ]


def with_generated(nav: list[Any]) -> list[Any]:
    """The navigation, with the pages that are not files."""
    studies = [{PurePosixPath(page).stem: page} for page in STUDIES.values()]
    before = {"Reference": nav_of_reference()}
    rooms = [{room: reference.room_page_of(room)} for room in reference.ROOMS]
    shown = ["notebooks/index.md", *({titled(path): f"notebooks/{path.stem}.md"} for path in NOTEBOOKS)]
    after = {
        "Guides": [{"Notebooks": shown}],
        "Reference": [{"Python": ["reference/python/index.md", *rooms]}],
        "Contribute": CONTRIBUTE,
        "Evidence": [{"Studies": ["studies/index.md", *studies]}],
    }

    def whole(title: str, part: Any) -> Any:
        return part if isinstance(part, str) else before.get(title, []) + part + after.get(title, [])

    return [{title: whole(title, part)} for one in nav for title, part in one.items()]


@functools.cache
def repository_url() -> str | None:
    """Where the repository is, if pyproject.toml says so."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    return urls.get("repository") or urls.get("source")


def relinked(text: str, source: str, page: str) -> str:
    """A page whose links to what lies outside docs/ lead somewhere on the site; code is left alone.

    `source` is where the page lies in the repository, `page` where it is on the site.
    """
    either = re.compile(rf"```.*?```|{LINK.pattern}|`[^`\n]*`", flags=re.DOTALL)
    return either.sub(lambda found: _link(found, source, page) if found.group(3) else found.group(), text)


def _link(found: re.Match[str], source: str, page: str) -> str:
    image, label, target = found.groups()
    path, _, heading = target.partition("#")
    if "://" in target or not path:
        return found.group()
    there = os.path.normpath(PurePosixPath(source).parent / path)
    shown, section = _on_site(there)
    section = heading or section
    if shown is not None:
        return (
            f"{image}[{label}]({os.path.relpath(shown, PurePosixPath(page).parent)}{'#' + section if section else ''})"
        )
    if (url := repository_url()) is not None:
        return f"{image}[{label}]({url}/blob/main/{there}{'#' + section if section else ''})"
    return f"`{there}`" if label.strip("`") == there else f"{label} (`{there}`)"


def _on_site(there: str) -> tuple[str | None, str]:
    """The page of the site that shows a file or folder of the repository, if one does, and the section of it."""
    path = PurePosixPath(there)
    if there == "conf":
        return "reference/config/index.md", ""
    if there in SHOWN or f"{there}/README.md" in SHOWN:
        return SHOWN.get(there) or SHOWN[f"{there}/README.md"], ""
    if path.parts[0] == "docs":
        return str((path / "README.md" if (ROOT / there).is_dir() else path).relative_to("docs")), ""
    if path.suffix in PICTURES:
        return picture(there), ""
    if path.parts[0] == "conf" and path.name in ("train.yaml", "mine.yaml", "probe.yaml", "evaluate.yaml"):
        return reference.command_page_of(path.stem), ""
    if path.parts[0] == "conf" and len(path.parts) > 1:
        group, option = (path.parent, path.stem) if path.suffix == ".yaml" else (path, "")
        page = reference.page_of(group.relative_to("conf").as_posix())
        return f"reference/config/{page}.md", reference.anchor(option)
    return None, ""


def comments_above(text: str) -> str:
    """A page whose shell comments stand above their command where a line is too wide to be seen whole."""
    return re.sub(r"```bash\n(.*?)```", lambda block: f"```bash\n{_narrow(block.group(1))}```", text, flags=re.DOTALL)


def _narrow(block: str) -> str:
    if max(map(len, block.splitlines()), default=0) <= WIDTH:
        return block
    block = re.sub(r"\n\s+#(?=\s)", "", block)  # a comment that goes on below
    above = []
    for line in block.splitlines():
        command, _, comment = line.partition("  # ")
        if comment and command.strip():
            above += textwrap.wrap(comment.strip(), WIDTH, initial_indent="# ", subsequent_indent="# ")
            line = command.rstrip()
        above.append(line)
    return "\n".join([*above, ""])


def picture(there: str) -> str:
    """Where the site has a picture that lies outside docs/."""
    return f"pictures/{there}"


def pictures() -> list[str]:
    """The pictures that pages from outside docs/ show."""
    pages = [path for path in SHOWN if path.endswith(".md")]
    found = ((path, target) for path in pages for _, _, target in LINK.findall((ROOT / path).read_text()))
    return sorted({os.path.normpath(PurePosixPath(path).parent / to) for path, to in found if to.endswith(PICTURES)})


def notebook_files() -> dict[str, bytes]:
    """The notebooks themselves, and the pictures that they made."""
    files = {f"notebooks/{path.name}": path.read_bytes() for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        files |= {picture(f"notebooks/{name}"): content for name, content in notebooks.pictures(path).items()}
    return files


# What MkDocs calls.


def on_config(config: Any) -> Any:
    """Put the generated pages into the navigation."""
    config.nav = with_generated(config.nav)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages, and the site's style."""
    from mkdocs.structure.files import File

    for page, text in generated().items():
        files.append(File.generated(config, page, content=text))
    for there in pictures():
        files.append(File.generated(config, picture(there), abs_src_path=str(ROOT / there)))
    for there, content in notebook_files().items():
        files.append(File.generated(config, there, content=content))
    files.append(File.generated(config, "site.css", content=(Path(__file__).parent / "site.css").read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links lead somewhere on the site, and code be seen whole."""
    at = page.file.src_uri
    if at == "README.md":
        page.meta["hide"] = ["navigation", "toc"]  # they would name the page itself
    source = next((path for path, shown in SHOWN.items() if shown == at), f"docs/{at}")
    return comments_above(relinked(markdown, source, at))
