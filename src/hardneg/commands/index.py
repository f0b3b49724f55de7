"""hardneg index: embed a corpus into an index beside the live one, check it, and switch."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardneg.system.counts_in_words import counted

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hardneg.serving.index_folder import IndexFolder

log = logging.getLogger(__name__)

OWN = ("ckpt_path=", "index.path=", "switch=", "rebuild=", "keep=")  # words that the command to mend an index gives


def index(cfg: DictConfig) -> None:
    """Build, check, switch, and remove what is no longer kept."""
    from hardneg.config import classes
    from hardneg.config.command_words import command_line
    from hardneg.data.open_set import open_documents
    from hardneg.data.tables import RetrievalData
    from hardneg.encoders import checkpoint
    from hardneg.runs.data_named import check_data_named
    from hardneg.runs.folder import with_checkpoint
    from hardneg.serving.backends.base import Backend
    from hardneg.serving.builder import Builder
    from hardneg.serving.index_folder import IndexFolder
    from hardneg.serving.opened_build import open_build
    from hardneg.serving.text_encoder import TextEncoder
    from hardneg.system.screen import before_command, in_short, shortest

    cfg = with_checkpoint(cfg)
    check_data_named(cfg)
    backend: Backend = classes.build(cfg.index)
    backend.check()
    encoder = TextEncoder(checkpoint.load(cfg.ckpt_path), cfg.device, cfg.precision, cfg.width)
    data: RetrievalData = open_documents(classes.build(cfg.data), Path(cfg.cache))
    folder = IndexFolder(backend.path)
    with folder.writing():
        builder = Builder(folder, backend, encoder, cfg.shard, cfg.rebuild)
        build = builder.build(data, source_of(cfg))
        opened = open_build(build, encoder, data.corpus, new=True)  # raises for a build that must not answer
        opened.close()
        if cfg.switch:
            folder.switch(build)
        else:
            folder.put_beside(build)
        folder.prune(cfg.keep, build, build.manifest.space if cfg.rebuild else None)
    log.info("%s", opened.freshness, extra=in_short(opened.freshness.in_short))
    place = shortest(backend.path)
    if build.name in folder.stack()[:1]:
        log.info("%s", before_command("live:", f'{command_line("search", place)} "..."'))
    else:
        switch = command_line("index", "switch", place, build.name)
        log.info("%s", before_command("beside the live one; to switch:", switch))


def source_of(cfg: DictConfig) -> dict:
    """Where checkpoint and data are, and the words of the command that another index of them takes."""
    from hydra.core.hydra_config import HydraConfig

    from hardneg.config import classes
    from hardneg.serving.rebuild_command import with_absolute_paths

    words = [word for word in HydraConfig.get().overrides.task if not word.startswith(OWN)]
    data, words = with_absolute_paths(classes.plain(cfg.data), words)  # hardneg check may be called from anywhere
    return {"ckpt_path": str(Path(cfg.ckpt_path).resolve()), "data": data, "words": words}


def main(arguments: Sequence[str]) -> None:
    """Switch to a build, roll back, or list the builds of an index."""
    parser = argparse.ArgumentParser(prog="hardneg index", description="Change which build of an index is live.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (
        ("switch", "make another complete build live"),
        ("rollback", "make the previous live build live again"),
        ("list", "show the builds"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("index", type=Path, help="folder of the index")
        if name == "switch":
            command.add_argument("build", help="name of a build, or its first characters")
    given = parser.parse_args(arguments)
    from hardneg.serving.index_folder import IndexFolder
    from hardneg.serving.index_there import check_complete

    check_complete(given.index)
    folder = IndexFolder(given.index)
    if given.command == "switch":
        build = folder.named(given.build)
        folder.switch(build)
        sys.stdout.write(f"live: build {build.name}\n")
    elif given.command == "rollback":
        sys.stdout.write(f"live: build {folder.rollback().name}\n")
    else:
        list_builds(folder)


def list_builds(folder: IndexFolder) -> None:
    """Print the builds, oldest first; the next `hardneg index` removes those marked `other`.

    On a terminal that has no room for it a checkpoint comes in a line of its own.
    """
    from hardneg.system.screen import shortest
    from hardneg.system.terminal_tables import UNBOUNDED, console_at

    console = console_at(UNBOUNDED)
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
        documents = counted(manifest.corpus["count"], "document")
        about = f"{place:<8}{build.name}  {manifest.created[:16]}  {documents}  {backend}"
        checkpoint = manifest.source.get("ckpt_path", "")
        if console.is_terminal and checkpoint:
            checkpoint = shortest(checkpoint)
        between = "  " if len(about) + 2 + len(checkpoint) <= console.width else f"\n{'':<8}"
        sys.stdout.write(f"{about}{between}{checkpoint}\n")
