"""hardneg merge: several encoders of one architecture as one checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardneg.encoders.merge_shares import shares_of
from hardneg.encoders.sentence_transformers_names import MODULES
from hardneg.errors import ConfigError
from hardneg.preflight.writable import check_writable
from hardneg.runs.folder import CHECKPOINTS, checkpoint_of

if TYPE_CHECKING:
    from hardneg.encoders.checkpoint import Trained


def main(arguments: Sequence[str]) -> None:
    """Merge what the words name, and say what went into it."""
    given = _parser().parse_args(arguments)
    path = merge(given.sources, given.to, given.weights, given.slerp, given.force)
    sys.stdout.write(f"{len(sources_of(given.sources))} encoders as one checkpoint: {path}\n")


def merge(
    sources: Sequence[Path],
    to: Path,
    weights: Sequence[float] | None = None,
    slerp: float | None = None,
    force: bool = False,
) -> Path:
    """Write the merged encoder as a checkpoint `to`, which is returned.

    `weights` are proportions, one per source; None weighs all alike. `slerp` is how far to go along the arc from the
    first of two sources to the second. Raises `ConfigError` for models that are not alike, naming the first difference,
    and for a folder that cannot be written.
    """
    paths = sources_of(sources)
    shares = shares_of(len(paths), weights, slerp)
    if to.exists() and not force:
        raise ConfigError(f"{to} exists; choose another name or give --force")
    check_writable(to, "--to", is_file=True)  # before the models are read, which takes minutes for large ones
    from hardneg.encoders import checkpoint
    from hardneg.encoders import merge as merging
    from hardneg.encoders.pretrained import weights_hash
    from hardneg.encoders.towers import QUERY

    read = [_read(path) for path in paths]
    models = [
        merging.ModelToMerge(
            name=str(path),
            recipe=one.recipe,
            architecture=one.recipe.architecture(one.towers.tower(QUERY)),
            reading=checkpoint.reading(one.tokenizer.to_str()),
            weights=one.towers.state_dict(),
        )
        for path, one in zip(paths, read, strict=True)
    ]
    merging.check_alike(models)
    states = [model.weights for model in models]
    merged = merging.average(states, shares) if slerp is None else merging.slerp(states[0], states[1], slerp)
    made_of = {
        "method": "average" if slerp is None else "slerp",
        "of": [
            {"path": str(path), "share": share, "weights": weights_hash(one.towers)}
            for path, share, one in zip(paths, shares, read, strict=True)
        ],
    }
    checkpoint.write(to, read[0], merged, merged=made_of)
    return to


def sources_of(sources: Sequence[Path]) -> list[Path]:
    """Return a checkpoint or sentence-transformers folder for each source; a sweep's folder stands for its runs.

    Raises `ConfigError` for fewer than two encoders.
    """
    found: list[Path] = []
    for source in sources:
        jobs = sorted(path.parent for path in source.glob(f"*/{CHECKPOINTS}")) if source.is_dir() else []
        if (source / MODULES).is_file():
            found.append(source)
        elif jobs and not (source / CHECKPOINTS).is_dir():
            found += [checkpoint_of(job) for job in jobs]
        else:
            found.append(checkpoint_of(source))
    if len(found) < 2:
        raise ConfigError(
            f"there is nothing to merge: {', '.join(map(str, sources))} names one encoder; give two or more"
        )
    return found


def _read(path: Path) -> Trained:
    from hardneg.encoders import checkpoint
    from hardneg.exchange.read import read

    return read(path.resolve()) if path.is_dir() else checkpoint.load(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg merge",
        description="Merge encoders trained from the same start into one checkpoint: the mean of their weights"
        " (a model soup), a weighted mean, or a point on the arc between two. It can be used like any checkpoint:"
        " ckpt_path=, init_from=, hardneg export.",
        epilog="examples:\n  hardneg merge outputs/A outputs/B --to soup.ckpt\n"
        "  hardneg merge multirun/seeds --to soup.ckpt   # all runs of a sweep\n"
        "  hardneg merge base.ckpt outputs/A --weights 0.3 0.7 --to kept.ckpt\n"
        "  hardneg merge outputs/A outputs/B --slerp 0.5 --to between.ckpt\n"
        "  hardneg evaluate ckpt_path=soup.ckpt data=pydocs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        help="run folders (their best checkpoints), checkpoints, sentence-transformers folders, or a sweep's folder",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="checkpoint to write, such as soup.ckpt")
    parser.add_argument("--weights", type=float, nargs="+", help="weight of each model; default: equal weights")
    parser.add_argument(
        "--slerp", type=float, metavar="T", help="a point on the arc: 0 is the first model, 1 the second"
    )
    parser.add_argument("--force", action="store_true", help="replace the file")
    return parser
