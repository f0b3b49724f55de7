"""Names of splits: which are dev, whoever wrote them, and that every reader takes them from one file."""

from __future__ import annotations

from pathlib import Path

import pytest

import hardneg.data
from hardneg.data.readers.split_names import ALSO_DEV, IN_FILE_NAMES, split_name, split_of_judgements


@pytest.mark.parametrize("name", ["dev", "validation", "valid", "val"])
def test_a_split_to_choose_by_is_dev(name):
    assert split_name(name) == IN_FILE_NAMES[name] == split_of_judgements(["qrels", name]) == "dev"


@pytest.mark.parametrize("name", ["train", "test", "extra", "eval"])
def test_other_splits_keep_their_names(name):
    assert split_name(name) == name


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (["qrels", "dev", "small"], "dev_small"),
        (["msmarco", "docdev", "qrels"], "dev"),
        (["dev2", "qrels"], "dev2"),
        (["qrels", "testa"], "testa"),
        (["qrels", "test2019"], "test2019"),
        (["qrels", "eval"], "eval"),
        (["qrels"], None),
    ],
)
def test_judgements_say_their_split_in_their_name(words, split):
    assert split_of_judgements(words) == split


def test_no_other_file_lists_the_names_of_dev():
    files = [path for path in Path(hardneg.data.__file__).parent.rglob("*.py") if path.name != "split_names.py"]
    assert files and not [path.name for path in files for name in ALSO_DEV if f'"{name}"' in path.read_text()]
