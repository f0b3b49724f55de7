"""The manifest of a build: what it was made of and by; written last, so that a build with one is complete."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hardneg import __version__
from hardneg.errors import UserError
from hardneg.system.atomic_write import atomic_write
from hardneg.system.package_versions import versions

NAME = "manifest.json"
RETIRED = "retired.json"  # the manifest's name once its build is to be removed
FORMAT = 1
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "faiss-cpu", "qdrant-client", "lancedb", "psycopg")


@dataclass(frozen=True)
class Manifest:
    """Everything that must agree before vectors are compared, as plain values.

    `content` names corpus, model, backend and shard size in one hash. `model` holds for `query` and `document` what
    decides a vector (hashes of weights and tokenizer, pooling, normalisation, prompt, longest length, width); `space`
    names the document side and the precision in one hash. `shards` are names, counts and hashes of files; `canaries`
    the embeddings of fixed texts; `source` where checkpoint and data were, and the words of the command; `measured` how
    long it took, and the index's recall.
    """

    build: str
    content: str
    created: str
    model: dict[str, Any]
    space: str
    precision: str
    dim: int
    dtype: str
    metric: str
    backend: dict[str, Any]
    corpus: dict[str, Any]
    shards: list[dict[str, Any]]
    canaries: dict[str, Any]
    source: dict[str, Any]
    measured: dict[str, Any]
    libraries: dict[str, str] = field(default_factory=lambda: {"hardneg": __version__, **versions(LIBRARIES)})
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the file atomically."""
        with atomic_write(folder / NAME, alone=True) as draft:
            draft.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, name: str = NAME) -> Manifest:
        """Read a build's manifest; raises `UserError` for a build that has none or one of another format."""
        path = folder / name
        if not path.is_file():
            raise UserError(f"{folder} has no {name}: it was never finished; run its hardneg index command again")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error}); delete {folder} and index again") from error
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise UserError(f"{path} has another format than hardneg {__version__} reads ({FORMAT}); index again")
        known = {one.name for one in fields(cls)}
        if missing := known - values.keys():
            raise UserError(f"{path} lacks {', '.join(sorted(missing))}; delete {folder} and index again")
        return cls(**{key: value for key, value in values.items() if key in known})
