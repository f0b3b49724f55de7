"""Sets that are given for testing alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import hub_layouts
import layouts
import pytest

from hardneg.data.mix import Mix
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.table import Table
from hardneg.data.test_only import Own, open_for_testing, says_splits
from hardneg.errors import DataError

PAIRS = 60


@pytest.fixture
def table(tmp_path):
    """A table of pairs whose columns have names of their own."""
    path = tmp_path / "other.csv"
    path.write_text("Frage,Antwort,Thema\n" + "".join(f"what is {i},it is {i},t\n" for i in range(PAIRS)))
    return path


def opened(table, tmp_path, own=None, said=False, **settings):
    own = own or Own(columns={"query": "Frage", "positive": "Antwort", "negative": "Falsch"})
    return open_for_testing(Table(str(table), **settings), tmp_path / "cache", own, said, "evaluate.also.other")


def test_a_set_without_splits_is_all_test_in_the_columns_of_the_run(table, tmp_path):
    data = opened(table, tmp_path)
    assert set(data.qrels) == {"test"}
    assert len(data.split("test").query_rows) == PAIRS


@pytest.mark.parametrize("settings", [{"said": True}, {"test_share": 0.5, "dev_share": 0}])
def test_a_share_that_was_asked_for_is_held_out(table, tmp_path, settings):
    assert 0 < len(opened(table, tmp_path, **settings).split("test").query_rows) < PAIRS


def test_what_the_run_was_trained_on_keeps_its_splits(table, tmp_path):
    own = Own.of({"path": str(table), "columns": {"query": "Frage", "positive": "Antwort"}})
    assert set(opened(table, tmp_path, own).qrels) == {"train", "dev", "test"}


def test_what_the_run_was_trained_on_keeps_the_splits_of_the_run(table, tmp_path):
    columns = {"query": "Frage", "positive": "Antwort"}
    held_out = {"dev_share": 0, "test_share": 0.3, "split_seed": 5}
    trained = Table(str(table), columns=columns, **held_out).load()
    found = opened(table, tmp_path, Own.of({"path": str(table), "columns": columns, **held_out}))
    assert found.fingerprint("test") == trained.fingerprint("test"), "training queries are tested"
    other = opened(table, tmp_path, Own.of({"path": str(table), "columns": columns, **held_out}), said=True)
    assert other.fingerprint("test") != trained.fingerprint("test"), "unless the user says otherwise"
    without = {"dev_share": 0, "test_share": 0, "split_seed": 0}
    assert "test" not in opened(table, tmp_path, Own.of({"path": str(table), "columns": columns, **without})).qrels


@pytest.mark.parametrize(("own", "splits"), [({}, {"train", "dev", "test"}), ({"split": "other"}, {"test"})])
def test_so_does_a_set_that_is_named_by_its_repository(tmp_path, own, splits):
    (tmp_path / "set").mkdir()
    rows = [{"query": f"what is {i}", "positive": f"it is {i}"} for i in range(PAIRS)]
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = Hub(str(tmp_path / "set"))
    for node in ({"repo": hub.repo, **own}, {"sets": {"one": {"repo": hub.repo, **own}}}):
        found = open_for_testing(hub, tmp_path / "cache", Own.of(node), False, "evaluate.also.other")
        assert set(found.qrels) == splits


@pytest.mark.parametrize(("trained_on", "tested"), [("en", 40), ("de", 4)])
def test_another_subset_of_a_repository_was_not_trained_on(tmp_path, monkeypatch, trained_on, tested):
    monkeypatch.setattr(pytest.importorskip("datasets").config, "HF_DATASETS_CACHE", tmp_path / "hub")
    hub = Hub(str(hub_layouts.mteb_languages(tmp_path / "set", layouts.world())), subset="de")
    own = Own.of({"repo": hub.repo, "subset": trained_on})
    found = open_for_testing(hub, tmp_path / "cache", own, False, "evaluate.also.other")
    assert len(found.split("test").query_rows) == tested


def test_so_is_each_set_of_a_mixture_but_what_was_trained_on_or_has_splits(tmp_path):
    files = {"own": "own.csv", "other": "other.csv", "asked": "asked.csv", "split": "split/train.csv"}
    for name, file in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("query,positive\n" + "".join(f"{name} {i},it is {i}\n" for i in range(PAIRS)))
    (tmp_path / "split" / "test.csv").write_text("query,positive\nwho,me\nwhere,here\n")
    mix = Mix({name: Table(str(tmp_path / file.removesuffix("/train.csv"))) for name, file in files.items()})
    trained = {"path": str(tmp_path / "own.csv"), "dev_share": 0, "test_share": 0.3, "split_seed": 5}
    for own in (trained, {"sets": {"another": trained}}):
        found = open_for_testing(mix, tmp_path, Own.of(own), False, "data", ["data.sets.asked.test_share"])
        names = found.queries.ids.take(found.split("test").queries).to_pylist()
        tested = Counter(name.partition("/")[0] for name in names)
        alone = replace(mix.sets["own"], dev_share=0, test_share=0.3, split_seed=5).load()
        held_out = alone.queries.ids.take(alone.split("test").queries).to_pylist()
        assert {name for name in names if name.startswith("own/")} == {f"own/{name}" for name in held_out}
        assert tested["other"] == PAIRS and tested["split"] == 2 and 0 < tested["asked"] < PAIRS / 2
    as_it_is = open_for_testing(mix, tmp_path, Own(), True, "data")
    assert as_it_is.fingerprint("test") == mix.load().fingerprint("test")


def test_a_folder_with_splits_is_read_as_it_is(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(f"query,positive\nwhat is {split},it is {split}\nwho,me\n")
    assert set(opened(tmp_path, tmp_path).qrels) == {"train", "test"}


def test_columns_that_mean_nothing_are_asked_for_by_their_key(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("a,b,c\nxx,yy,zz\n")
    with pytest.raises(DataError, match=r"evaluate\.also\.other\.columns="):
        opened(path, tmp_path)


def test_who_says_what_is_held_out():
    assert says_splits({"path": "a", "test_share": 0.1}, (), "evaluate.also.a")
    assert says_splits({"_target_": "x"}, {"evaluate.also.a.test_share"}, "evaluate.also.a")
    assert not says_splits({"_target_": "x", "test_share": 0.1}, {"evaluate.also.b.test_share"}, "evaluate.also.a")
