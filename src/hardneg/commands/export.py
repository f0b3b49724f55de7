"""hardneg export: a trained encoder as a sentence-transformers folder with a model card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.runs.folder import checkpoint_of


def main(arguments: Sequence[str]) -> None:
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
    export(given.source, given.folder, given.force)
    sys.stdout.write(f"{checkpoint_of(given.source)} as a sentence-transformers folder: {given.folder}\n")


def export(source: Path, folder: Path, force: bool = False) -> Path:
    """Write the encoder of a run folder or checkpoint into `folder`, which is returned; see `main`."""
    path = checkpoint_of(source)
    from hardneg.encoders import checkpoint
    from hardneg.exchange.layout import export_folder
    from hardneg.exchange.model_card import TrainingRun, model_card
    from hardneg.exchange.write import write

    with export_folder(folder, force) as unfinished:
        trained = checkpoint.load(path)
        write(trained, unfinished)
        card = model_card(folder.resolve().name, trained, TrainingRun.find(path.resolve().parent.parent))
        (unfinished / "README.md").write_text(card, encoding="utf-8")
    return folder
