"""hardneg search, and what hardneg index does to a folder without building: switch, rollback, list."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.errors import UserError
from hardneg.serving.folder import IndexFolder
from hardneg.serving.live import Answer, LiveIndex


def search(arguments: Sequence[str]) -> None:
    """Ask the live index from the terminal."""
    parser = argparse.ArgumentParser(
        prog="hardneg search",
        description="Ask an index that hardneg index has made; it is checked first, and refused if it is stale.",
        epilog='examples:\n  hardneg search my-index "how do I open a file"\n'
        '  hardneg search my-index "first" "second" -k 3 --ckpt-path RUN/checkpoints/best.ckpt',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    index_arguments(parser)
    parser.add_argument("queries", nargs="+", metavar="query", help="what to look for")
    parser.add_argument("-k", type=int, default=10, help="how many documents to show (10)")
    given = parser.parse_args(arguments)
    if not all(query.strip() for query in given.queries):
        raise UserError("a query is empty; give a text to look for")
    live = opened(given)
    try:
        for query, answer in zip(given.queries, live.search(given.queries, given.k), strict=True):
            show(query, answer)
    finally:
        live.close()


def index_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which index is opened, and how."""
    parser.add_argument("index", type=Path, help="folder of the index")
    parser.add_argument("--ckpt-path", type=Path, help="model to ask with (the one that the index names)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
    parser.add_argument(
        "--precision", default="auto", help="32-true, bf16-mixed, ... (auto: what the device is good at)"
    )
    parser.add_argument("--allow-stale", action="store_true", help="answer even if the index is stale")


def opened(given: argparse.Namespace) -> LiveIndex:
    """Open the index that these arguments name; raises `StaleIndex` for a stale one unless that is allowed."""
    return LiveIndex(given.index, given.ckpt_path, given.device, given.precision, allow_stale=given.allow_stale)


def show(query: str, answer: Answer) -> None:
    """Print one query's documents, a line each (rank, score, id, text), and the freshness."""
    width = shutil.get_terminal_size((120, 24)).columns
    longest = max((len(hit.id) for hit in answer.hits), default=0)
    sys.stdout.write(f"{query}\n")
    for rank, hit in enumerate(answer.hits, start=1):
        before = f"{rank:>4}  {hit.score:.4f}  {hit.id:<{longest}}  "
        text = " ".join(hit.text.split())
        room = max(width - len(before), 20)
        sys.stdout.write(f"{before}{text if len(text) <= room else text[: room - 3] + '...'}\n")
    sys.stdout.write(f"{answer.freshness}\n\n")


def change(arguments: Sequence[str]) -> None:
    """Switch to a build, roll back, or list the builds of an index."""
    parser = argparse.ArgumentParser(prog="hardneg index", description="Change which build of an index answers.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (
        ("switch", "have another complete build answer"),
        ("rollback", "have the build answer that was live before"),
        ("list", "show the builds"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("index", type=Path, help="folder of the index")
        if name == "switch":
            command.add_argument("build", help="name of a build, or the beginning of it")
    given = parser.parse_args(arguments)
    folder = IndexFolder(given.index)
    if not folder.builds():
        raise UserError(f"{given.index} holds no complete index; hardneg index ... index.path={given.index} makes one")
    if given.command == "switch":
        build = folder.named(given.build)
        folder.switch(build)
        sys.stdout.write(f"live: build {build.name}\n")
    elif given.command == "rollback":
        sys.stdout.write(f"live: build {folder.rollback().name}\n")
    else:
        list_builds(folder)


def list_builds(folder: IndexFolder) -> None:
    """Print the builds, oldest first; the next `hardneg index` removes the other ones."""
    stack = folder.stack()
    places: dict[str, str] = {
        **dict.fromkeys(folder.beside, "beside"),
        **dict.fromkeys(stack, "before"),
        **dict.fromkeys(stack[:1], "live"),
    }
    for build in folder.builds():
        manifest = build.manifest
        place = places.get(build.name, "other")
        backend = manifest.backend["_target_"].rsplit(".", 1)[-1]
        sys.stdout.write(
            f"{place:<8}{build.name}  {manifest.created[:16]}  {manifest.corpus['count']} documents  {backend}"
            f"  {manifest.source.get('ckpt_path', '')}\n"
        )
