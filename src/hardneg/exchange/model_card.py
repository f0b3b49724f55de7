"""The model card of an export: what the encoder is, how it was trained, and its test results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg import __version__
from hardneg.config import started_with
from hardneg.config.command_words import command_line
from hardneg.config.run_summary import read_summary
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.pretrained import HUB_NAME, MINILM
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.system.markdown_table import markdown_table, table_of_means

# Words that only concern paths and logging on the machine that trained.
_LOCAL = ("hydra.", "cache=", "ckpt_path=", "logger", "data.cache=", "num_workers=", "checkpoint.")
_PATH = re.compile(r"(?<![\w.~-])(?:~|\.{1,2})?/(?:[^\s,'\"\[\]{}=]*/)?([^\s,'\"\[\]{}=/]+)")


@dataclass(frozen=True)
class TrainingRun:
    """What a run folder says about a training run; `untested` names a checkpoint other than the one it tested."""

    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    overrides: tuple[str, ...]
    untested: str | None = None

    @classmethod
    def find(cls, folder: Path, untested: str | None = None) -> TrainingRun | None:
        """Read a complete run; None if the folder holds none."""
        written = started_with.config_of(folder)
        summary = read_summary(folder)
        if written is None or summary is None:
            return None
        config: Any = OmegaConf.to_container(written)
        return cls(summary, config, tuple(started_with.words_of(folder)), untested)


def model_card(folder: str, trained: Trained, run: TrainingRun | None) -> str:
    """Return the README of an export called `folder`, with the metadata that Hugging Face reads and no local path."""
    name = run.summary["name"] if run else folder
    parts = [f"---\n{_header(name, trained, run)}\n---", f"# {name}", _about(trained), _usage(folder)]
    if run:
        parts += [_training(run), *_results(run)]
    return "\n\n".join(parts) + "\n"


def _header(name: str, trained: Trained, run: TrainingRun | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    tested = _tested(run) if run else []
    results = [
        EvalResult(
            task_type="information-retrieval",
            task_name="Information Retrieval",
            dataset_type=data_set,
            dataset_name=data_set,
            dataset_split=split,
            metric_type=metric,
            metric_value=round(value, 4),
        )
        for data_set, split, rows in tested
        for metric, value in rows.get("after", {}).items()
    ]
    data = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "feature-extraction", "dense-retrieval", "hard-negatives", "hardneg"],
        base_model=_base_model(trained),
        metrics=list(dict.fromkeys(one.metric_type for one in results)) or None,
        model_name=name if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _tested(run: TrainingRun) -> list[tuple[str, str, Mapping[str, Mapping[str, float]]]]:
    """Each test set's data, split and rows of the closing table, without the mean over sets; none if `untested`."""
    if run.untested:
        return []
    splits, name = run.config["split"]["test"], run.summary["data"]
    splits = [splits] if isinstance(splits, str) else list(splits or [])
    by_set = run.summary.get("test_by_set")
    if not by_set:
        return [(name, splits[0], run.summary["test"])] if splits and run.summary["test"] else []
    also = (run.config.get("evaluate") or {}).get("also") or {}
    found = []
    for called, rows in by_set.items():
        first, _, part = called.partition("/")  # a split, or a set of evaluate.also; then, for a mix, the set in it
        if first in also:
            found.append((called, str(also[first].get("test", "test")), rows))
        elif len(splits) > 1 and first in splits:
            found.append((part or name, first, rows))
        else:
            found.append((called, splits[0], rows))
    return found


def _base_model(trained: Trained) -> str | None:
    """The hub name of the model that training started from; None for a folder."""
    model = getattr(trained.recipe, "model", None) or getattr(trained.recipe, "init", None)
    if model == MINILM:
        return HUB_NAME
    return model if model and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) and not Path(model).exists() else None


def _about(trained: Trained) -> str:
    recipe, towers = trained.recipe, trained.towers
    kind = "static embedding" if isinstance(recipe, Static) else "transformer"
    rows = {
        "towers": f"{'two' if recipe.two_towers else 'one shared'}, {kind}",
        "dimensions": towers.dim,
        "pooling": getattr(recipe, "pooling", "mean"),
        "similarity": "cosine" if recipe.unit_vectors else "dot product",
    }
    for side in (QUERY, DOCUMENT):
        half = getattr(recipe, side)
        rows[side] = f"at most {half.max_length} tokens" + (
            f", prompt `{half.prompt}`" if half.prompt else ", no prompt"
        )
    return f"A dual encoder for retrieval, trained with hardneg {__version__}.\n\n{_table(rows)}"


def _usage(folder: str) -> str:
    return f"""## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{folder}")
queries = model.encode_query(["..."])
documents = model.encode_document(["...", "..."])
scores = model.similarity(queries, documents)
```"""


def _training(run: TrainingRun) -> str:
    summary, config = run.summary, run.config
    sizes = summary.get("sizes", {})
    rows = {
        "data": summary["data"],
        "documents": sizes.get("documents"),
        "queries": ", ".join(f"{split} {count}" for split, count in sizes.get("queries", {}).items()),
        "negatives": ", ".join(config["negatives"]),
        "loss": ", ".join(config["loss"]),
        "filters": ", ".join(config["filter"]) or "none",
        "seed": summary["seed"],
        "steps": summary["steps"],
        "batch size": config["batch_size"],
        "precision": summary["precision"],
        "hardneg": summary["hardneg"],
        **summary.get("packages", {}),
    }
    words = [_PATH.sub(r"\1", word) for word in run.overrides if not word.startswith(_LOCAL)]
    command = command_line("train", *words)
    settings = {key: config[key] for key in ("encoder", "negatives", "loss", "filter", "optimizer", "schedule")}
    details = OmegaConf.to_yaml(OmegaConf.create(_anonymous(settings)))
    return (
        f"## Training\n\n{_table({key: value for key, value in rows.items() if value not in (None, '')})}\n\n"
        f"```bash\n{command}\n```\n\n<details><summary>Settings</summary>\n\n```yaml\n{details}```\n\n</details>"
    )


def _results(run: TrainingRun) -> list[str]:
    tested = _tested(run)
    parts = ["## Results"] if tested else []
    if run.untested:
        parts.append(f"The encoder is that of `{run.untested}`, which the run did not test.")
    for data_set, split, systems in tested:
        parts.append(f"On {data_set} ({split}), ranking all documents.\n\n{table_of_means('test', systems)}")
    if len(tested) > 1:
        means = table_of_means("test", run.summary["test"])
        parts.append(f"Mean of these {len(tested)} sets, weighted equally.\n\n{means}")
    if history := run.summary["dev"]["history"]:
        metrics = [key for key in history[0] if key != "step"]
        head = ["dev, step", *(key.removeprefix("val/") for key in metrics)]
        rows = [[str(point["step"]), *(f"{point[m]:.4f}" for m in metrics)] for point in history]
        parts.append("\n".join(markdown_table(head, rows)))
    return parts


def _table(rows: Mapping[str, Any]) -> str:
    return "\n".join(markdown_table(["", ""], [[key, str(value)] for key, value in rows.items()]))


def _anonymous(value: Any) -> Any:
    """Replace every path by its last component."""
    if isinstance(value, Mapping):
        return {key: _anonymous(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_anonymous(inner) for inner in value]
    return _PATH.sub(r"\1", value) if isinstance(value, str) and value.startswith(("/", "~", ".")) else value
