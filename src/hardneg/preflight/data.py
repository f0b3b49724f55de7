"""The data of a sweep's jobs, read once before the first job: a broken line of a file fails here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.open_set import Readable, open_documents, open_set
from hardneg.data.other_sets import others, splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.test_only import Own, open_for_testing, says_splits
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.retrieval.test_sets import check_left_out
from hardneg.system.cache_folder import cache_folder
from hardneg.training.begin import check_batch_size


class ReadOnce:
    """Reads each data set of a sweep once, however many jobs use it; only the last one is held."""

    def __init__(self) -> None:
        self._read: tuple[str, RetrievalData] | None = None
        self._tested: set[str] = set()  # sets of evaluate.also that can be read

    def check(self, cfg: DictConfig) -> None:
        """Raise `DataError` or `ConfigError` for data that a job cannot read, or that do not fit its settings."""
        node = classes.plain(cfg)
        if not node.get("data"):
            return
        # A command without splits, such as `index`, asks no query.
        opens = open_set if "split" in node else open_documents
        data = self._load(node["data"], Path(node.get("cache") or cache_folder()), opens)
        splits = node.get("split")
        if isinstance(splits, str | list):
            for name in splits_of(splits):
                data.split(name)
        elif splits:
            training = TrainingSet(data, splits["train"])
            for name in filter(None, (splits["dev"], *splits_of(splits["test"]))):
                data.split(name)
            check_left_out(node, data)
            check_batch_size(node, training)
        self._check_others(node)

    def _check_others(self, node: dict[str, Any]) -> None:
        also = (node.get("evaluate") or {}).get("also") or {}
        for name, (data, split) in others(also, node.get("cache")).items():
            if (key := data_key({"data": data, "split": split})) not in self._tested:
                try:
                    cache, key_of_set = Path(node.get("cache") or cache_folder()), f"evaluate.also.{name}"
                    said, own = says_splits(also[name], (), key_of_set), Own.of(node["data"])
                    open_for_testing(classes.build(data), cache, own, said, key_of_set).split(split)
                except (ConfigError, DataError) as error:
                    raise type(error)(f"evaluate.also.{name}: {error}") from error
                self._tested.add(key)

    def _load(
        self, node: dict[str, Any], cache: Path, opens: Callable[[Readable, Path], RetrievalData]
    ) -> RetrievalData:
        named = data_key(node)
        if self._read is None or self._read[0] != named:
            self._read = None  # before the next: memory holds one
            self._read = (named, opens(classes.build(node), cache))
        return self._read[1]


def data_key(node: Any) -> str:
    """Name data by their config."""
    return json.dumps(classes.plain(node), sort_keys=True)
