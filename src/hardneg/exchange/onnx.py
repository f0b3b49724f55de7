"""An encoder as ONNX and OpenVINO files beside its sentence-transformers modules, held to the vectors it gives here.

torch writes the graph. `optimum`, which sentence-transformers asks for, cannot be installed beside transformers 5; the
files lie where it would put them (`onnx/model.onnx`, `openvino/openvino_model.xml`) and have its names.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
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
from hardneg.encoders.static import StaticTower
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.encoders.transformer_tower import TransformerTower
from hardneg.errors import UserError
from hardneg.exchange.layout import TOWER_TYPES
from hardneg.exchange.write import is_routed
from hardneg.system.log_level import at_level

log = logging.getLogger(__name__)

INPUTS = ["input_ids", "attention_mask"]
HIDDEN, VECTOR = (
    "last_hidden_state",
    "sentence_embedding",
)  # of the tokens, and of the text: pooled, projected, normalised
MODEL = {"onnx": Path("onnx", "model.onnx"), "openvino": Path("openvino", "openvino_model.xml")}
LARGE = 1_500_000_000  # bytes of weights from which they lie in a file of their own: a protobuf ends at 2 GB
CLOSE = 1e-4  # how far a vector may be from ours, relative to its largest value
OPSET = 18
REASON = 160  # letters of what a library says went wrong


def write_formats(trained: Trained, folder: Path, formats: Sequence[str], in_python: bool = False) -> None:
    """Add these formats to an export in `folder`, one file a tower, and check the vectors that they give.

    Inputs are `input_ids` and `attention_mask` (rows, length), int64; outputs `sentence_embedding` (rows, dim), and of
    a transformer `last_hidden_state`. Prompts and lengths are the user's to apply, as sentence-transformers does.
    Messages name words of the command line, or arguments where it was called `in_python`. Raises `UserError` for a
    model that cannot be written so, where the file computes something else, and for prompts that are not pooled: such a
    file cannot know how long they are.
    """
    if not all(trained.towers.tower(side).include_prompt for side in (QUERY, DOCUMENT)):
        raise UserError(
            f"{_word(formats[0], in_python)}: encoder.include_prompt=false leaves prompts out of the pooling, and such"
            " a file does not know where they end; export without it"
        )
    for place, side in places(trained).items():
        tower = trained.towers.tower(side)
        path = folder / place / MODEL["onnx"]
        path.parent.mkdir(parents=True)
        with _refused(tower, _word(formats[0], in_python), "torch cannot write {} as ONNX"):
            graph = Graph(tower).eval()
            _write_onnx(graph, path)
        if "openvino" in formats:
            with _refused(tower, _word("openvino", in_python), "OpenVINO cannot take over the graph of {}"):
                _write_openvino(path, folder / place / MODEL["openvino"])
        for name in formats:
            with _refused(tower, _word(name, in_python), "the file of {} was written and does not run"):
                _check(folder / place / MODEL[name], name, graph)
        if "onnx" not in formats:
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()
    write_hashes(folder)


def places(trained: Trained) -> Mapping[str, str]:
    """Where in an export the first module of each tower lies, and the side that it is of."""
    if not is_routed(trained.recipe):
        return {"": DOCUMENT}
    kind = TOWER_TYPES[isinstance(trained.towers.tower(QUERY), StaticTower)]
    return {f"{side}_0_{kind}": side for side in (QUERY, DOCUMENT)}


class Graph(nn.Module):
    """A tower as it is exported: a copy in float32, with what ONNX has no operator for written out."""

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
        """Names of what it returns."""
        return [HIDDEN, VECTOR] if isinstance(self.tower, TransformerTower) else [VECTOR]

    @property
    def words(self) -> int:
        """How many tokens there are."""
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
    """Say in a line that this model cannot be exported so: whatever the libraries raise, it is not the user's slip."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        model = getattr(tower, "model", tower)
        name = type(model.model if isinstance(model, Adapted) else model).__name__
        log.debug("what the exporter met", exc_info=error)
        reason: BaseException = error
        while reason.__cause__ is not None:  # torch's own words are of its steps, not of what was in the way
            reason = reason.__cause__
        first = shorten(next(iter(str(reason).strip().splitlines()), ""), REASON)
        told = f"{type(reason).__name__}{': ' * bool(first)}{first}"
        raise UserError(f"{word}: {what.format(f'a {name}')} ({told}); export without it") from error


def _word(name: str, in_python: bool) -> str:
    """What the user wrote to have a format."""
    return f"formats=[{name!r}]" if in_python else f"--{name}"


def check_packages(formats: Sequence[str], in_python: bool = False) -> None:
    """Raise `UserError` that says what to install for these formats; imports none of it."""
    needed = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
    for name in formats:
        if missing := [package for package in needed[name] if find_spec(package) is None]:
            raise UserError(f"{_word(name, in_python)} needs {', '.join(missing)}: pip install 'hardneg[{name}]'")


def _example(words: int, rows: int, length: int) -> tuple[Int[Tensor, "R L"], Int[Tensor, "R L"]]:
    """Random tokens, of which each row has one fewer than the row before."""
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
    """Compare the file's vectors with ours, on rows and lengths other than those that it was traced with."""
    for rows, length in ((1, 2), (5, 12)):
        ids, mask = _example(graph.words, rows, length)
        with torch.inference_mode():
            ours = graph(ids, mask)[-1].numpy()
        theirs = run_file(path, kind, ids.numpy(), mask.numpy())
        away = float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(ours).max())))
        if not away <= CLOSE:
            raise UserError(
                f"{path.name}: its vectors are {away:.1e} away from the encoder's; it cannot be exported so"
            )


def run_file(
    path: Path, kind: str, ids: Int[np.ndarray, "R L"], mask: Int[np.ndarray, "R L"]
) -> Float[np.ndarray, "R D"]:
    """Compute the vectors of these tokens by a file that `write_formats` wrote, on the CPU."""
    given = dict(zip(INPUTS, (ids, mask), strict=True))
    if kind == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised, too
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run([VECTOR], given)[0]
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # else it may compute in bfloat16
    return np.asarray(openvino.compile_model(path, "CPU", exact)(given)[VECTOR])


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of torchvision, warns of its own code, and prints the graph that it could not make."""
    nowhere = io.StringIO()
    with at_level("torch.onnx", logging.ERROR), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
