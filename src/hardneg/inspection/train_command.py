"""The command that trains on a data set as it was found, with existing or held-out splits and lengths that fit."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hardneg.config.command_words import as_value, in_shell, key_of, plain
from hardneg.data.held_out import TRAIN, Shares, split_of
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.inspection.findings import likely_false_negatives
from hardneg.inspection.opened import OpenedSet

HELD_OUT = (0.1, 0.2, 0.3)  # shares that are tried until one holds out queries, where there are few


def train_command(opened: OpenedSet, report: dict[str, Any]) -> dict[str, Any]:
    """Return `command`, as it is pasted into a shell, and `words`, the same unquoted.

    A set without training queries is ranked with a checkpoint, not trained on.
    """
    if opened.split["train"] not in opened.data.qrels:
        split = "test" if "test" in opened.data.qrels else next(iter(report["splits"]))
        kept = [word for word in opened.words if key_of(word).startswith("data")]
        words = ["hardneg", "evaluate", *map(plain, kept), f"split={split}", "ckpt_path=RUN_FOLDER"]
    else:
        words = ["hardneg", "train", *_train_words(opened, report)]
    return {"words": words, "command": in_shell(words)}


def _train_words(opened: OpenedSet, report: dict[str, Any]) -> list[str]:
    words = [plain(word) for word in opened.words]
    given = {key_of(word) for word in words}
    wanted = _columns(report) + _splits(opened)
    if opened.first_bad is not None:
        wanted.append("data.on_error=skip")
    wanted.append(f"encoder={opened.chosen}")
    wanted += [f"encoder.{side}.max_length={report['lengths'][side]['fits']}" for side in ("query", "document")]
    wanted += _negatives(opened.data, report)
    return words + [word for word in wanted if key_of(word) not in given]


def _columns(report: dict[str, Any]) -> list[str]:
    """Name the columns that were guessed, so that training reads what was seen here."""
    read = report.get("read_as")
    if not read or not read["guessed"]:
        return []
    named = [f"{role}: {_names(names)}" for role, names in read["columns"].items()]
    return [f"data.columns={{{', '.join(named)}}}"]


def _names(names: list[str]) -> str:
    words = [as_value(name) for name in names]
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"


def _splits(opened: OpenedSet) -> list[str]:
    """Say what dev and test are where the data have none."""
    data, train = opened.data, str(opened.split["train"])
    rows = data.qrels[train].query_rows
    roles = {role: splits_of(opened.split[role]) for role in ("dev", "test")}
    missing = [role for role, names in roles.items() if not set(names) <= data.qrels.keys()]
    if missing and opened.holds_out and train == TRAIN and all(roles[role] == [role] for role in missing):
        texts = data.queries.take(rows)
        for share in HELD_OUT:
            shares = Shares(share * ("dev" in missing), share * ("test" in missing), opened.settings["split_seed"])
            drawn = Counter(split_of(text, shares) for text in texts)
            if all(drawn[name] for name in (TRAIN, *missing)):
                return [f"data.{role}_share={share}" for role in missing]
    return [f"split.{role}=null" for role in missing]


def _negatives(data: RetrievalData, report: dict[str, Any]) -> list[str]:
    """Choose sources: the negatives that the data name, else BM25's, else those of the batch."""
    if data.given is not None and len(data.given.values):
        sources = ["negatives=[in_batch,given]"]
    elif report["bm25"]["splits"].get("train", {"nothing": 1.0})["nothing"] < 1.0:
        sources = ["strategy=bm25"]
    else:
        sources = ["strategy=in_batch"]
    if sources != ["strategy=bm25"]:
        return sources
    if likely_false_negatives(report):
        return [*sources, "filter=[known_positives,duplicates,relative_margin]"]
    copies = report["duplicates"]["document"]["texts"]
    return sources + (["filter=[known_positives,duplicates]"] if copies else [])
