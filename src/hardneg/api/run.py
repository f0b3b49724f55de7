"""A run in Python: its encoder, its metrics, its folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from hardneg.config.command_words import command_line
from hardneg.config.run_summary import SUMMARY, is_complete, read_summary
from hardneg.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from hardneg.data.tables import RetrievalData
    from hardneg.encoders.checkpoint import Trained
    from hardneg.serving.text_encoder import TextEncoder

Kind = Literal["query", "document"]
KINDS: tuple[Kind, ...] = ("query", "document")
BLOCK = 8192  # texts whose tokens are held at a time


class Hit(NamedTuple):
    """A document that was found, with its score."""

    id: str
    text: str
    score: float


class Ranked(NamedTuple):
    """One of the given documents: its index among them, and its score."""

    place: int
    text: str
    score: float


class Run:
    """A finished training run: `encode`, `search` and `rank` with its best checkpoint, `metrics`, `evaluate`, `export`.

    Everything is loaded once, when it is first needed. `device` is where it computes: auto, cpu, cuda, cuda:1.
    """

    def __init__(self, folder: str | Path, device: str = "auto") -> None:
        self.folder = Path(folder)
        self.device = device

    def __repr__(self) -> str:
        found = f", {self.metrics}" if is_complete(self.folder) else ""
        return f"Run({str(self.folder)!r}{found})"

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json; raises `UserError` for a run that is not complete."""
        if (found := read_summary(self.folder)) is None:
            resume = command_line("resume", self.folder)
            raise UserError(f"{self.folder} is not complete: no {SUMMARY}; {resume} goes on")
        return found

    @property
    def results(self) -> dict[str, dict[str, float]]:
        """The final table: for each of its rows (BM25, before, after) the metrics on the test split."""
        return self.summary["test"]

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the trained encoder on the test split; with several test sets their mean (see `by_set`).

        Empty if there is no such split.
        """
        return self.results.get("after", {})

    @property
    def by_set(self) -> dict[str, dict[str, dict[str, float]]]:
        """The final tables of several test sets, by name; empty if there is only one."""
        return self.summary.get("test_by_set", {})

    @property
    def history(self) -> list[dict[str, int | float]]:
        """The metrics on the dev split at each evaluation, with their steps."""
        return self.summary["dev"]["history"]

    @cached_property
    def config(self) -> Any:
        """The config that the run was started with."""
        from hardneg.runs.saved_config import read_config

        return read_config(self.folder)

    @cached_property
    def data(self) -> RetrievalData:
        """The data that it was trained on, read again."""
        from hardneg.runs.saved_config import open_data

        return open_data(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint, or the last if there is no best."""
        from hardneg.runs.folder import checkpoint_of

        return checkpoint_of(self.folder)

    @cached_property
    def trained(self) -> Trained:
        """The content of the checkpoint: the encoder with its own prompts, without any prompt from the data."""
        from hardneg.encoders import checkpoint

        return checkpoint.load(self.checkpoint)

    @cached_property
    def encoder(self) -> TextEncoder:
        """The trained encoder as used in evaluation: prompts (also one that came with the data), lengths, precision."""
        from hardneg.serving.text_encoder import TextEncoder

        told = read_summary(self.folder) or {}
        path, trained = self.checkpoint, self.trained
        if (prompt := told.get("query_prompt")) is not None:
            query = replace(trained.recipe.query, prompt=prompt)
            trained = replace(trained, recipe=replace(trained.recipe, query=query))
        return TextEncoder(trained, self.device, told.get("precision", "auto"), ckpt_path=str(path.resolve()))

    def encode(
        self, texts: str | Iterable[str], kind: Kind = "document", width: int | None = None, progress: bool = True
    ) -> np.ndarray:
        """Embed texts as queries or as documents: an array (texts, dim) in float32, or (dim,) for a single text.

        The vectors are those of evaluation; `width` truncates them (Matryoshka). Long lists show a progress bar unless
        `progress` is False. Raises `UserError` for another kind, and for values that are not text.
        """
        from hardneg.api.bars import bar

        check_kind(kind)
        listed = texts_of(texts)
        encoder = self.encoder if width is None else self.encoder.at(width)
        import numpy as np

        found = np.empty((len(listed), encoder.dim), np.float32)
        with bar(len(listed), f"encode {'queries' if kind == 'query' else 'documents'}", progress) as counted:
            for start in range(0, len(listed), BLOCK):
                found[start : start + BLOCK] = encoder.embed(listed[start : start + BLOCK], kind, counted)
        return found[0] if isinstance(texts, str) else found

    def rank(self, query: str, documents: Iterable[str], k: int | None = None) -> list[Ranked]:
        """Rank documents for a query, best first, with the encoder's own similarity; `k` keeps the first k."""
        import numpy as np

        listed = texts_of(documents)
        scores = self.encode(listed, progress=False) @ self.encode(query, "query")
        order = np.argsort(-scores, kind="stable")[:k].tolist()
        return [Ranked(place, listed[place], float(scores[place])) for place in order]

    @overload
    def search(self, queries: str, k: int = ...) -> list[Hit]: ...  # type: ignore[overload-overlap]
    @overload
    def search(self, queries: Sequence[str], k: int = ...) -> list[list[Hit]]: ...
    def search(self, queries: str | Sequence[str], k: int = 10) -> list[Hit] | list[list[Hit]]:
        """Find the k best documents of the run's own corpus with exact search; the first call embeds the corpus.

        One query gives one list, several queries one each. For millions of documents, or to serve: `hardneg index`.

        Raises `UserError` for a `k` that is not a whole number above 0.
        """
        import torch

        from hardneg.retrieval.search import exact

        if not isinstance(k, int) or k < 1:
            raise UserError(f"k is {k!r}; write a whole number, 1 or more")
        asked = texts_of([queries] if isinstance(queries, str) else queries)
        if not asked:
            return []
        vectors = torch.from_numpy(self.encode(asked, "query")).to(self._corpus.device)
        scores, places = exact(vectors, [self._corpus], k)
        corpus = self.data.corpus
        lists = [
            [Hit(corpus.ids[row].as_py(), corpus[row], score) for row, score in zip(rows, values, strict=True)]
            for rows, values in zip(places.tolist(), scores.tolist(), strict=True)
        ]
        return lists[0] if isinstance(queries, str) else lists

    @cached_property
    def _corpus(self) -> Tensor:
        from hardneg.api.evaluating import embedded_corpus

        return embedded_corpus(self.encoder, self.data, Path(self.config.cache))

    def evaluate(
        self,
        data: Any = None,
        split: str | None = None,
        metrics: Sequence[Any] | None = None,
        depth: int | None = None,
    ) -> dict[str, float]:
        """Rank a split with the encoder and return the mean of each metric; nothing is written.

        `data` is anything that `hardneg.train` takes, or a `RetrievalData`; None means the run's own. `split`,
        `metrics` (names, or functions as in docs/guides/evaluate.md) and `depth` default to the run's; a metric that
        looks deeper gets a ranking of that depth. With several test splits the mean is returned, as in `metrics`. Data
        without splits are ranked for all their queries, unless a split or a share is given or the run was trained on
        them. `hardneg evaluate` does the same next to BM25, and writes its own folder.
        """
        from hardneg.api.evaluating import evaluated

        return evaluated(self, data, split, metrics, depth)

    def export(self, folder: str | Path, force: bool = False, formats: Sequence[str] = ()) -> Path:
        """Write the encoder as a sentence-transformers folder with a model card; `formats` adds "onnx", "openvino"."""
        from hardneg.cli import in_process
        from hardneg.commands.export import export
        from hardneg.system.library_messages import silence_libraries

        with in_process("export"):
            silence_libraries()
            return export(self.folder, Path(folder), force, formats, in_python=True)


def check_kind(kind: str) -> None:
    """Raise `UserError` for a kind other than query and document."""
    if kind not in KINDS:
        raise UserError(f"kind is {kind!r}; write 'query' or 'document'")


def open_run(folder: str | Path, device: str = "auto") -> Run:
    """Open an older run by its folder; raises `UserError` for a folder that has no checkpoint of a dual encoder."""
    run = Run(folder, device)
    _ = run.checkpoint
    return run


def texts_of(texts: Any) -> list[str]:
    """Texts as a list: of a list, a column of a frame, an Arrow or numpy array; else raises `UserError`."""
    if isinstance(texts, str):
        return [texts]
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(texts, name):
            texts = getattr(texts, name)()
            break
    listed = list(texts)
    wrong = next((place for place, text in enumerate(listed) if not isinstance(text, str)), None)
    if wrong is not None:
        raise UserError(f"text {wrong} is a {type(listed[wrong]).__name__}, not a string")
    return listed
