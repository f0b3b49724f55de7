"""Export of an encoder as ONNX and OpenVINO files, added to its sentence-transformers folder and checked.

torch writes the graph. `optimum`, which sentence-transformers requires, cannot be installed with transformers 5; the
files have the paths and names that it would use (`onnx/model.onnx`, `openvino/openvino_model.xml`). Each file must give
the same vectors as the encoder.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.encoders.base import Tower
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.file_hashes import write_hashes
from hardneg.encoders.lora import Adapted
from hardneg.encoders.sentence_transformers_names import TOWER_TYPES
from hardneg.encoders.static import StaticTower
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer_tower import TransformerTower
from hardneg.errors import UserError
from hardneg.exchange.write import is_routed
from hardneg.system.log_level import at_level

log = logging.getLogger(__name__)

INPUTS = ["input_ids", "attention_mask"]
HIDDEN, VECTOR = "last_hidden_state", "sentence_embedding"  # per token; per text: pooled, projected, normalised
MODEL = {"onnx": Path("onnx", "model.onnx"), "openvino": Path("openvino", "openvino_model.xml")}
LARGE = 1_500_000_000  # bytes of weights above which they go to a separate file: a protobuf is limited to 2 GB
CLOSE = 1e-4  # how far a vector may be from ours, relative to its largest value
OPSET = 18
REASON = 160  # characters kept of a library's error message


def write_formats(trained: Trained, folder: Path, formats: Mapping[str, str]) -> None:
    """Add these formats to an export in `folder`, one file per tower, and check the vectors that they give.

    Inputs are `input_ids` and `attention_mask` (rows, length), int64. Outputs are `sentence_embedding` (rows, dim), and
    for a transformer also `last_hidden_state`. The caller applies prompts and maximum lengths, as sentence-transformers
    does. `formats` has each with the word that asked for it, which messages name. Raises `UserError` for a model that
    cannot be exported, for a file that computes different vectors, and for prompts that are excluded from the pooling:
    such a file cannot know how long they are.
    """
    first = next(iter(formats.values()))
    if not all(trained.towers.tower(side).include_prompt for side in (QUERY, DOCUMENT)):
        raise UserError(
            f"{first}: encoder.include_prompt=false leaves prompts out of the pooling, but such"
            " a file cannot know where they end; export without this format"
        )
    for place, side in places(trained).items():
        tower = trained.towers.tower(side)
        path = folder / place / MODEL["onnx"]
        path.parent.mkdir(parents=True)
        with _refused(tower, first, "torch cannot export {} as ONNX"):
            graph = Graph(tower).eval()
            _write_onnx(graph, path)
        if "openvino" in formats:
            with _refused(tower, formats["openvino"], "OpenVINO cannot convert the graph of {}"):
                _write_openvino(path, folder / place / MODEL["openvino"])
        for name, word in formats.items():
            with _refused(tower, word, "the file of {} was written but does not run"):
                _check(folder / place / MODEL[name], name, graph)
        if "onnx" not in formats:
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()
    write_hashes(folder)


def places(trained: Trained) -> Mapping[str, str]:
    """Path within an export of each tower's first module, and its side."""
    if not is_routed(trained.recipe):
        return {"": DOCUMENT}
    kind = TOWER_TYPES[isinstance(trained.towers.tower(QUERY), StaticTower)]
    return {f"{side}_0_{kind}": side for side in (QUERY, DOCUMENT)}


class Graph(nn.Module):
    """A tower for export: a float32 copy, with operations that ONNX lacks written in terms of others."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = copy.deepcopy(tower).float().cpu()
        model: Any = getattr(self.tower, "model", None)
        if isinstance(model, Adapted):
            self.tower.model = model = model.merged()
        if hasattr(model, "set_attn_implementation"):
            model.set_attn_implementation("eager")

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [HIDDEN, VECTOR] if isinstance(self.tower, TransformerTower) else [VECTOR]

    @property
    def words(self) -> int:
        """Size of the vocabulary."""
        table: Any = self.tower.embedding if isinstance(self.tower, StaticTower) else self.tower.model  # type: ignore[union-attr]
        return int((table if isinstance(table, nn.Embedding) else table.get_input_embeddings()).weight.shape[0])

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Int[Tensor, "R L"]) -> tuple[Tensor, ...]:
        """Embed each row."""
        if isinstance(self.tower, StaticTower):
            weights = self.tower.shares(input_ids, attention_mask.bool())
            pooled = (self.tower.embedding(input_ids) * weights.unsqueeze(-1)).sum(dim=1)
            return (F.normalize(pooled, dim=-1) if self.tower.normalize else pooled,)
        tower: Any = self.tower
        hidden = tower.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = tower.dense(tower.pool(hidden, attention_mask.bool()))
        return hidden, F.normalize(pooled, dim=-1) if tower.normalize else pooled


@contextmanager
def _refused(tower: Tower, word: str, what: str) -> Iterator[None]:
    """Turn any exception of the libraries into a one-line `UserError`: this model cannot be exported to the format."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        model = getattr(tower, "model", tower)
        name = type(model.model if isinstance(model, Adapted) else model).__name__
        log.debug("the exporter failed", exc_info=error)
        reason: BaseException = error
        while reason.__cause__ is not None:  # torch's outer messages name its steps, not the cause
            reason = reason.__cause__
        first = shorten(next(iter(str(reason).strip().splitlines()), ""), REASON)
        told = f"{type(reason).__name__}{': ' * bool(first)}{first}"
        raise UserError(f"{word}: {what.format(f'a {name}')} ({told}); export without this format") from error


def check_packages(formats: Mapping[str, str]) -> None:
    """Raise `UserError` with what to install for these formats, without importing the packages.

    `formats` has each with the word that asked for it.
    """
    needed = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
    for name, word in formats.items():
        if missing := [package for package in needed[name] if find_spec(package) is None]:
            raise UserError(f"{word} needs {', '.join(missing)}: pip install 'hardneg[{name}]'")


def _example(words: int, rows: int, length: int) -> tuple[Int[Tensor, "R L"], Int[Tensor, "R L"]]:
    """Random tokens; each row has one fewer than the row before."""
    draw = torch.Generator().manual_seed(rows)
    ids = torch.randint(words, (rows, length), generator=draw)
    mask = (torch.arange(length) < length - torch.arange(rows).unsqueeze(1)).long()
    return ids, mask


def _write_onnx(graph: Graph, path: Path) -> None:
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quiet():
        program = torch.onnx.export(
            graph,
            _example(graph.words, 3, 7),
            input_names=INPUTS,
            output_names=graph.outputs,
            dynamic_shapes=dict.fromkeys(INPUTS, free),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        weights = sum(p.numel() * p.element_size() for p in graph.parameters())
        program.save(path, external_data=weights > LARGE)


def _write_openvino(onnx: Path, path: Path) -> None:
    import openvino

    path.parent.mkdir(parents=True)
    openvino.save_model(openvino.convert_model(onnx), path, compress_to_fp16=False)


def _check(path: Path, kind: str, graph: Graph) -> None:
    """Compare the file's vectors with ours, with other numbers of rows and lengths than it was traced with."""
    for rows, length in ((1, 2), (5, 12)):
        ids, mask = _example(graph.words, rows, length)
        with torch.inference_mode():
            ours = graph(ids, mask)[-1].numpy()
        theirs = run_file(path, kind, ids.numpy(), mask.numpy())
        away = float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(ours).max())))
        if not away <= CLOSE:
            raise UserError(
                f"{path.name}: its vectors differ from the encoder's by {away:.1e}; export without this format"
            )


def run_file(
    path: Path, kind: str, ids: Int[np.ndarray, "R L"], mask: Int[np.ndarray, "R L"]
) -> Float[np.ndarray, "R D"]:
    """Compute the vectors of these tokens on the CPU, with a file written by `write_formats`."""
    given = dict(zip(INPUTS, (ids, mask), strict=True))
    if kind == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised anyway
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run([VECTOR], given)[0]
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # otherwise it may compute in bfloat16
    return np.asarray(openvino.compile_model(path, "CPU", exact)(given)[VECTOR])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which mentions torchvision, warns about its own code, and prints failed graphs."""
    nowhere = io.StringIO()
    with at_level("torch.onnx", logging.ERROR), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
