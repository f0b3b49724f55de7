"""Which files of a folder are trained on: words in names say it where one says train."""

from __future__ import annotations

import pytest

from hardneg.data.readers.hub import Hub
from hardneg.data.readers.table import Table, _files
from hardneg.errors import DataError


def splits(folder, *names):
    for name in names:
        (folder / name).write_text("query,positive\na,A\n")
    return {split: [path.name for path in paths] for split, paths in _files(folder).items()}


@pytest.mark.parametrize(
    "names", [["security.csv", "unit-test.csv"], ["cooking.csv", "dev-tools.csv", "val-thorens.csv"], ["nq-dev.csv"]]
)
def test_words_are_no_splits_where_none_says_train(tmp_path, caplog, names):
    assert splits(tmp_path, *names) == {"train": names}
    assert "no file's name says train, so " in caplog.text and "call files train.*" in caplog.text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["hotpot_testing.csv", "hotpot_training.csv", "nq-corpus.csv", "nq-val.csv"],
            {
                "train": "hotpot_training.csv",
                "dev": "nq-val.csv",
                "test": "hotpot_testing.csv",
                "corpus": "nq-corpus.csv",
            },
        ),
        (
            ["nq-train.json", "nq-dev.json", "psgs_w100.tsv"],
            {"train": "nq-train.json", "dev": "nq-dev.json", "corpus": "psgs_w100.tsv"},
        ),
        (["faq.csv", "val.csv"], {"train": "faq.csv", "dev": "val.csv"}),
        (
            ["faq-2024-01-15-dev.csv", "faq-2024-01-15-train.csv"],
            {"train": "faq-2024-01-15-train.csv", "dev": "faq-2024-01-15-dev.csv"},
        ),
        (
            ["devset.csv", "testdata.csv", "trainset.csv"],
            {"train": "trainset.csv", "dev": "devset.csv", "test": "testdata.csv"},
        ),
        (["train.csv", "dev2.csv"], {"train": "train.csv", "dev": "dev2.csv"}),
        (["train.csv", "test-2024.csv", "dev.csv"], {"train": "train.csv", "dev": "dev.csv", "test": "test-2024.csv"}),
        (["dev2.csv", "train1.csv"], {"train": "train1.csv", "dev": "dev2.csv"}),
    ],
)
def test_words_are_splits_where_one_says_train(tmp_path, names, expected):
    assert splits(tmp_path, *names) == {split: [name] for split, name in expected.items()}


def test_numbered_parts_are_one_split(tmp_path):
    names = ["dev-0.csv", "test-00000-of-00001-1a2b3c.csv", "train-00000-of-00002.csv", "train-00001-of-00002.csv"]
    assert splits(tmp_path, *names) == {"dev": names[:1], "test": names[1:2], "train": names[2:]}
    names += ["train-10000-of-10001.csv"]
    assert splits(tmp_path, *names)["train"] == names[2:]


@pytest.mark.parametrize("names", [["nq-dev.csv", "nq-test.csv"], ["dev.csv", "test.csv"], ["dev.csv"]])
def test_without_a_file_to_train_on_there_is_no_table(tmp_path, names):
    with pytest.raises(DataError, match=r"no table to train on.*call the one that is trained on train"):
        splits(tmp_path, *names)


def test_a_file_of_no_split_beside_one_that_says_train_is_named(tmp_path):
    with pytest.raises(DataError, match=r"extra.tsv belongs to no split"):
        splits(tmp_path, "nq-train.csv", "extra.tsv")


@pytest.mark.parametrize("name", ["train-hard.csv", "dev2.csv"])
def test_a_second_file_of_a_split_that_has_one_of_its_name_is_not_read_with_it(tmp_path, name):
    with pytest.raises(DataError, match=f"{name} belongs to no split"):
        splits(tmp_path, "train.csv", "dev.csv", name)


def test_passages_of_dpr_are_a_corpus(tmp_path):
    (tmp_path / "nq-train.csv").write_text("query,positive\na,A\n")
    (tmp_path / "psgs_w100.tsv").write_text('id\ttext\ttitle\n1\t"B ""x"""\tT\n')
    data = Table(str(tmp_path), dev_share=0, test_share=0).load()
    assert data.corpus.texts.to_pylist() == ["A", 'T B "x"']


@pytest.mark.parametrize("reader", [Table, Hub])
def test_files_that_are_missing_by_the_names_of_the_others_are_told(tmp_path, caplog, monkeypatch, reader):
    """As after a download that broke off."""
    monkeypatch.setattr(pytest.importorskip("datasets").config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    names = [
        "train-00000-of-00004",
        "train-00002-of-00004",
        "test-00000-of-00001",
        "dev-00000-of-00002-1a2b",
        "dev-00001-of-00002-1a2b",
    ]
    for number, name in enumerate(names):
        (tmp_path / "set" / f"{name}.csv").write_text(f"query,positive\na{number},A{number}\n")
    assert len(reader(str(tmp_path / "set")).load().queries) == len(names)
    (said,) = [record.getMessage() for record in caplog.records if "missing" in record.getMessage()]
    assert "train: 2 of its 4 files are there; missing: train-00001-of-00004 ... (" in said


def told_missing(folder, caplog, *names, reader=Table):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"query,positive\na{number},A{number}\n")
    reader(str(folder)).load()
    return [record.getMessage() for record in caplog.records if "missing" in record.getMessage()]


def test_files_that_are_counted_from_1_are_all_there(tmp_path, caplog):
    assert not told_missing(tmp_path / "all", caplog, "train-00001-of-00002.csv", "train-00002-of-00002.csv")
    (said,) = told_missing(tmp_path / "two", caplog, "train-00001-of-00003.csv", "train-00003-of-00003.csv")
    assert "train: 2 of its 3 files are there; missing: train-00002-of-00003 (" in said


def test_what_the_hub_notes_of_a_download_is_no_file_that_others_miss(tmp_path, caplog, monkeypatch):
    cache = tmp_path / "set" / "made"
    monkeypatch.setattr(pytest.importorskip("datasets").config, "HF_DATASETS_CACHE", cache)
    noted = ".cache/huggingface/download/train-00000-of-00002.csv.metadata"
    names = ("train.csv", noted, "made/rows-00000-of-00002.arrow")
    assert not told_missing(tmp_path / "set", caplog, *names, reader=Hub)
