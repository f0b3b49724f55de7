"""hardneg import: a folder of sentence-transformers or model2vec as a checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.errors import ConfigError
from hardneg.exchange.importable import check_importable


def main(arguments: Sequence[str]) -> None:
    """Write a folder of sentence-transformers or model2vec as a checkpoint of ours."""
    parser = argparse.ArgumentParser(
        prog="hardneg import",
        description="Convert a sentence-transformers folder (transformer or static embedding) or a model2vec folder"
        " into a checkpoint for ckpt_path=.",
        epilog="examples:\n  hardneg import bge-small bge-small.ckpt\n"
        "  hardneg evaluate ckpt_path=bge-small.ckpt data=pydocs\n"
        "  hardneg mine ckpt_path=bge-small.ckpt data=pydocs export.form=flag",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="sentence-transformers or model2vec folder")
    parser.add_argument("checkpoint", type=Path, help="file to write")
    parser.add_argument("--force", action="store_true", help="replace the file")
    given = parser.parse_args(arguments)
    if given.checkpoint.exists() and not given.force:
        raise ConfigError(f"{given.checkpoint} exists; choose another name or give --force")
    if not given.folder.is_dir():
        raise ConfigError(f"{given.folder}: no such folder")
    check_importable(given.folder)
    from hardneg.encoders import checkpoint
    from hardneg.exchange.read import read

    checkpoint.write(given.checkpoint, read(given.folder.resolve()))
    sys.stdout.write(f"{given.folder} as a checkpoint: {given.checkpoint}\n")
