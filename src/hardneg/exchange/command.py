"""hardneg export and hardneg import: between checkpoints and sentence-transformers folders."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from hardneg import checkpoint
from hardneg.callbacks.keep import BEST, LAST
from hardneg.errors import ConfigError
from hardneg.exchange import layout
from hardneg.exchange.card import TrainingRun, model_card
from hardneg.exchange.read import node, read
from hardneg.exchange.write import write
from hardneg.whole import whole


def export(arguments: Sequence[str]) -> None:
    """Write a trained encoder and its model card as a folder for SentenceTransformer."""
    parser = argparse.ArgumentParser(
        prog="hardneg export",
        description="Write a trained encoder as a sentence-transformers folder with a model card: for vector stores,"
        " mteb, Hugging Face. The same vectors; prompts, lengths and pooling travel along.",
        epilog="examples:\n  hardneg export outputs/RUN my-encoder\n"
        "  hardneg export outputs/RUN/checkpoints/last.ckpt my-encoder --force\n"
        "then, in Python:  SentenceTransformer('my-encoder').encode_query(['...'])",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="run folder (its best checkpoint, else the last) or checkpoint")
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--force", action="store_true", help="replace an older export in that folder")
    given = parser.parse_args(arguments)
    path = _checkpoint_of(given.source)
    with _written(given.folder, given.force) as unfinished:
        trained = checkpoint.load(path)
        write(trained, unfinished)
        card = model_card(given.folder.resolve().name, trained, TrainingRun.find(path.resolve().parent.parent))
        (unfinished / "README.md").write_text(card, encoding="utf-8")
    sys.stdout.write(f"{path} as a sentence-transformers folder: {given.folder}\n")


def import_(arguments: Sequence[str]) -> None:
    """Write a sentence-transformers folder as a checkpoint of ours."""
    parser = argparse.ArgumentParser(
        prog="hardneg import",
        description="Turn a sentence-transformers folder (transformer with mean, cls or last pooling, or static"
        " embedding) into a checkpoint that ckpt_path= takes.",
        epilog="examples:\n  hardneg import bge-small bge-small.ckpt\n"
        "  hardneg evaluate ckpt_path=bge-small.ckpt data=pydocs\n"
        "  hardneg mine ckpt_path=bge-small.ckpt data=pydocs export.form=flag",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="sentence-transformers folder")
    parser.add_argument("checkpoint", type=Path, help="file to write")
    parser.add_argument("--force", action="store_true", help="replace the file")
    given = parser.parse_args(arguments)
    if given.checkpoint.exists() and not given.force:
        raise ConfigError(f"{given.checkpoint} exists; choose another name or give --force")
    trained = read(given.folder.resolve())
    card = checkpoint.card(node(trained.recipe), trained.recipe, trained.tokenizer, trained.towers)
    weights = {f"{checkpoint.TOWERS}{name}": value for name, value in trained.towers.state_dict().items()}
    given.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with whole(given.checkpoint) as draft:
        torch.save({"state_dict": weights, checkpoint.KEY: card}, draft)
    sys.stdout.write(f"{given.folder} as a checkpoint: {given.checkpoint}\n")


def _checkpoint_of(source: Path) -> Path:
    if source.is_file():
        return source
    found = [source / "checkpoints" / name for name in (BEST, LAST)]
    if not any(path.is_file() for path in found):
        raise ConfigError(
            f"{source} is no checkpoint and no run folder: there is no checkpoints/{BEST} or {LAST} in it"
        )
    if (source / "teacher").is_dir():
        raise ConfigError(
            f"{source} trained a cross-encoder; sentence-transformers' CrossEncoder loads {source}/teacher"
        )
    return next(path for path in found if path.is_file())


@contextmanager
def _written(folder: Path, force: bool) -> Iterator[Path]:
    """Give a folder to write to, which takes the other's place once it is complete."""
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not force:
        raise ConfigError(f"{folder} is not empty; choose another folder, or give --force to replace an export")
    if used and not (folder / layout.MODULES).is_file():
        raise ConfigError(f"{folder} holds something other than an export (no {layout.MODULES}); choose another folder")
    target = folder.resolve()
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if target.exists():
            shutil.rmtree(target)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
