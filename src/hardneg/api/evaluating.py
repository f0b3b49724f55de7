"""The encoder of a run over a data set: its corpus embedded, its splits ranked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from jaxtyping import Float
from torch import Tensor

from hardneg.api.data import Data, words_for
from hardneg.config import classes, composition
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.test_only import CHOICES, Own, open_for_testing
from hardneg.data.tokens import token_tables
from hardneg.encoders.towers import DOCUMENT
from hardneg.errors import UserError
from hardneg.retrieval.embed_tables import embed_table
from hardneg.retrieval.metrics import OwnMetric, average, check, deepest, per_query, resolve
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.serving.text_encoder import TextEncoder

if TYPE_CHECKING:
    from hardneg.api.run import Run


def embedded_corpus(encoder: TextEncoder, data: RetrievalData, cache: Path) -> Float[Tensor, "N D"]:
    """Embed all documents, as evaluation does."""
    recipe = encoder.trained.recipe
    _, docs = token_tables(data, encoder.trained.tokenizer, recipe.query, recipe.document, cache)
    return embed_table(encoder.towers, docs, DOCUMENT, encoder.precision, "documents")


def evaluated(
    run: Run, given: Any, split: str | None, metrics: Sequence[Any] | None, depth: int | None
) -> dict[str, float]:
    """Rank a split of the data, by default the run's own; see `Run.evaluate`.

    Raises `UserError` where the run has no test split and none is named, and for a `depth` too shallow for a metric.
    """
    asked = run.config.evaluate
    names = [_metric(one) for one in (metrics or asked.metrics)]
    check(names)
    deep = _depth(depth, int(asked.depth), deepest(names))
    cache = Path(run.config.cache)
    data, own = (run.data, True) if given is None else (_loaded(run, given, split is not None, cache), False)
    splits = [split] if split is not None else list(data.qrels) if len(data.qrels) == 1 and not own else None
    splits = splits_of(run.config.split.test) if splits is None else splits
    if not splits:
        raise UserError(f"{run.folder} was trained without a test split; choose one: {', '.join(data.qrels)}")
    # Other data have their own prompt or the encoder's, as for `hardneg evaluate`; not that of the run's data.
    encoder, recipe = run.encoder, run.trained.recipe
    tables = token_tables(data, encoder.trained.tokenizer, recipe.query, recipe.document, cache)
    leave_out = asked.leave_out if asked.leave_out in data.qrels else None
    retriever = Retriever(data, *tables, encoder.precision, seen(data, leave_out))
    found = retriever.runs(encoder.towers, splits, deep)
    values = {one: per_query(ranked, data.split(one), data, names) for one, ranked in found.items()}
    means = [{name: average(v, found[one].queries, data) for name, v in of.items()} for one, of in values.items()]
    return {name: sum(one[name] for one in means) / len(means) for name in means[0]}


def _depth(given: int | None, usual: int, needed: int) -> int:
    """How deep to rank: as deep as every metric looks, or metrics would be of shorter rankings than they say."""
    if given is not None and given < needed:
        raise UserError(f"depth={given} is too shallow for a metric at {needed}")
    return max(usual, needed) if given is None else given


def _metric(given: Any) -> Any:
    """A metric by its name or its target, or a function as it is."""
    if callable(given) and not isinstance(given, OwnMetric):
        return OwnMetric(getattr(given, "__name__", type(given).__name__), given)
    return given if isinstance(given, OwnMetric) else resolve([classes.plain(given)])[0]


def _loaded(run: Run, given: Any, said: bool, cache: Path) -> RetrievalData:
    """Read the data; those without splits are all test, unless a split or a share is `said`."""
    if isinstance(given, RetrievalData):
        return given
    own = Own.of(classes.plain(run.config.data))
    if not isinstance(given, str | os.PathLike):
        data = Data.of(given, own.columns)
        if data.only is not None:
            return data.load(cache)
        said = said or any(key in data.options for key in CHOICES)
        return open_for_testing(data.recipe(cache), cache, own, said, "data")
    with composition.composing("evaluate"):
        cfg = compose("evaluate", [*words_for(given, cache), "ckpt_path=null"])
    composition.check_given(cfg, ("data.",))
    return open_for_testing(classes.build(cfg.data), cache, own, said, "data")
