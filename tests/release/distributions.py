"""What sdist and wheel hold: `python distributions.py SOURCE SDIST WHEEL`, by the standard library alone."""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

LARGEST = 2_000_000  # bytes of either: code and yamls, no data
KINDS = (".py", ".typed", ".html", ".jinja")
ALSO = {"LICENSE", "README.md", "pyproject.toml", "src/hardneg/py.typed", "conf/train.yaml"}
SHOWN = ("Summary", "Requires-Python", "License-Expression", "Description-Content-Type")  # on an index's page


def committed(source: Path) -> set[str]:
    """The files that the wheel must hold, by the names that they have there."""
    code = [path for path in (source / "src").rglob("*") if path.suffix in KINDS]
    configs = [
        path.relative_to(source / "conf") for path in (source / "conf").rglob("*") if path.suffix in (".yaml", ".py")
    ]
    names = {path.relative_to(source / "src").as_posix() for path in code}
    return names | {f"hardneg/conf/{path.as_posix()}" for path in configs}


def check(source: Path, sdist: Path, wheel: Path) -> None:
    """Exit with what is wrong, else print what they hold."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    info = f"hardneg-{project['version']}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        metadata = message_from_bytes(archive.read(f"{info}METADATA"))
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    held = {name for name in inside if not name.startswith(info)}
    extras = {name.replace("_", "-") for name in project["optional-dependencies"]}
    cited = re.search(r"^version: (\S+)", (source / "CITATION.cff").read_text(), flags=re.MULTILINE)
    versions = {"sdist": sdist.name[8:-7], "wheel": metadata["Version"], "CITATION.cff": cited and cited[1]}
    wrong = {
        "not in the wheel": committed(source) - held,
        "in the wheel, but not committed": held - committed(source),
        "not beside the wheel's metadata": {f"{info}entry_points.txt", f"{info}licenses/LICENSE"} - inside,
        "not in the sdist": ALSO - sources,
        "extras that the metadata lacks": extras - {n.replace("_", "-") for n in metadata.get_all("Provides-Extra")},
        "metadata that is missing": {name for name in SHOWN if not metadata[name]},
        f"not version {project['version']}": {name for name, said in versions.items() if said != project["version"]},
        f"larger than {LARGEST:,} bytes": {path.name for path in (sdist, wheel) if path.stat().st_size > LARGEST},
    }
    if said := [f"{what}: {', '.join(sorted(names)[:9])}" for what, names in wrong.items() if names]:
        sys.exit("\n".join(said))
    for path in (sdist, wheel):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    configs = sum(name.endswith(".yaml") for name in held)
    print(f"the wheel: {len(held)} files, {configs} of them configs, py.typed among them; {len(extras)} extras")


if __name__ == "__main__":
    check(*map(Path, sys.argv[1:4]))
