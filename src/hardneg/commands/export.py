"""hardneg export: a trained encoder as a sentence-transformers folder with a model card, also on the hub."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hardneg.errors import ConfigError
from hardneg.runs.folder import checkpoint_of

FORMATS = ("onnx", "openvino")


def main(arguments: Sequence[str]) -> None:
    """Write a trained encoder and its model card as a folder for SentenceTransformer, and push it if asked."""
    given = _parser().parse_args(arguments)
    formats = [name for name in FORMATS if getattr(given, name)]
    of_hub = [f"--{name}" for name in ("private", "revision", "message") if getattr(given, name)]
    if given.push is None and of_hub:
        raise ConfigError(f"{of_hub[0]} is for the hub; add --push OWNER/NAME")
    if given.folder is None and given.push is None:
        raise ConfigError("give a folder to write to, or --push OWNER/NAME")
    path = checkpoint_of(given.source)
    with ExitStack() as stack:
        folder = given.folder
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="hardneg-export-"))) / "export"
        if given.push is None:
            export(path, folder, given.force, formats)
        else:
            from hardneg.exchange.push import Destination

            destination = Destination(given.push, given.private, given.revision, given.message)
            destination.check()
            export(path, folder, given.force, formats, called=given.push)
            sys.stdout.write(f"pushed: {destination.push(folder)}\n")
        if given.folder is not None:
            sys.stdout.write(f"{path} as a sentence-transformers folder: {given.folder}\n")


def export(
    source: Path,
    folder: Path,
    force: bool = False,
    formats: Sequence[str] = (),
    called: str | None = None,
    in_python: bool = False,
) -> Path:
    """Write the encoder of a run folder or checkpoint into `folder`, which is returned.

    `formats` may add "onnx" and "openvino"; `called` is the name in the model card, if it is not the folder's. Messages
    name words of the command line, or arguments where it was called `in_python`. Raises `ConfigError` for a folder that
    is in use or an encoder that cannot be written, `UserError` for missing packages and for a format that cannot be.
    """
    if unknown := set(formats) - set(FORMATS):
        raise ConfigError(f"{sorted(unknown)[0]!r} is not a format; the formats are {', '.join(FORMATS)}")
    path = checkpoint_of(source)
    from hardneg.encoders import checkpoint
    from hardneg.exchange.export_folder import export_folder
    from hardneg.exchange.model_card import TrainingRun, model_card
    from hardneg.exchange.write import write

    asked = {name: f"formats=[{name!r}]" if in_python else f"--{name}" for name in formats}
    if asked:
        from hardneg.exchange.onnx import check_packages, write_formats

        check_packages(asked)
    with export_folder(folder, force, "force=True" if in_python else "--force") as unfinished:
        trained = checkpoint.load(path)
        write(trained, unfinished)
        if asked:
            write_formats(trained, unfinished, asked)
        home = path.resolve().parent.parent
        run = TrainingRun.find(home, None if _is_tested(path, home) else path.name)
        card = model_card(called or folder.resolve().name, trained, run)
        (unfinished / "README.md").write_text(card, encoding="utf-8")
    return folder


def _is_tested(checkpoint: Path, run: Path) -> bool:
    """Whether a run in this folder has tested this checkpoint: its best, else its last."""
    try:
        return checkpoint_of(run).resolve() == checkpoint.resolve()
    except ConfigError:  # there is none
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg export",
        description="Write a trained encoder as a sentence-transformers folder with a model card: for vector stores,"
        " mteb, Hugging Face. It gives the same vectors, with the encoder's prompts, lengths and pooling.",
        epilog="examples:\n  hardneg export outputs/RUN my-encoder\n"
        "  hardneg export outputs/RUN/checkpoints/last.ckpt my-encoder --force\n"
        "  hardneg export outputs/RUN my-encoder --onnx\n"
        "  hardneg export outputs/RUN --push me/my-encoder --private\n"
        "then, in Python:  SentenceTransformer('my-encoder').encode_query(['...'])",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", type=Path, help="run folder (its best checkpoint, or the last if there is no best) or checkpoint"
    )
    parser.add_argument("folder", type=Path, nargs="?", help="folder to write; optional with --push")
    parser.add_argument("--force", action="store_true", help="replace an older export in that folder")
    parser.add_argument("--onnx", action="store_true", help="add onnx/model.onnx (needs hardneg[onnx])")
    parser.add_argument("--openvino", action="store_true", help="add openvino/openvino_model.xml (hardneg[openvino])")
    hub = parser.add_argument_group("the Hugging Face hub (hf auth login, or HF_TOKEN)")
    hub.add_argument("--push", metavar="OWNER/NAME", help="push to this model repository, created if it does not exist")
    hub.add_argument("--private", action="store_true", help="make a new repository private")
    hub.add_argument("--revision", metavar="BRANCH", help="push to this branch instead of main")
    hub.add_argument("--message", metavar="TEXT", help="commit message")
    return parser
