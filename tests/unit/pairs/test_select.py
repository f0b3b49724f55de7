"""Which pairs are kept: rule after rule, measured once, also after an interruption, and never a negative."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from one_row import one_row
from rich.console import Console

from hardneg.data.dataset import TrainingRows
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.negatives.mixture import Mixture
from hardneg.pairs import measures
from hardneg.pairs.base import PairFilter, Pairs
from hardneg.pairs.report import kept_of, show, write
from hardneg.pairs.select import select, selected
from hardneg.testing.synthetic import make_data

PAIRS = [(0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (2, 4), (3, 5), (4, 6)]


class Row(PairFilter):
    """Measures the document's row, and keeps those below `last`."""

    def __init__(self, last, fails_at=None):
        self.last, self.fails_at, self.blocks = last, fails_at, []

    def measured_by(self):
        return {"measure": "Row"}

    def limits(self):
        return {"last": self.last}

    def measure(self, pairs):
        if len(self.blocks) == self.fails_at:
            raise KeyboardInterrupt
        self.blocks.append(pairs.docs.tolist())
        return pairs.docs[:, None].astype(np.float32)

    def keep(self, values):
        return values[:, 0] < self.last

    def told(self, values):
        return f"row {values[0]:.0f}"


class Even(Row):
    """Keeps documents of an even row."""

    def measured_by(self):
        return {"measure": "Even"}

    def keep(self, values):
        return values[:, 0] % 2 == 0


@pytest.fixture
def training():
    return TrainingSet(make_data(PAIRS, docs=8, queries=5, dev=[(4, 7)]))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(measures, "BLOCK", 3)


def test_each_rule_judges_what_those_before_it_kept(training, tmp_path):
    row, even = Row(5), Even(0)
    selection = select({"row": row, "even": even}, training, tmp_path)
    assert selection.reasons.tolist() == [0, 2, 2, 0, 2, 0, 1, 1]
    assert selection.counts == {"kept": 3, "row": 2, "even": 3}
    assert row.blocks == [[0, 1, 1], [2, 3, 4], [5, 6]]
    assert even.blocks == [[0, 1, 1], [2, 3, 4]]
    assert [one["dropped_by"] for one in selection.card["examples"]] == ["row", "even", "row", "even", "even"]
    first = selection.card["examples"][0]
    assert first["measured"] == "row 5"
    assert (first["query_id"], first["document_id"]) == ("q3", "d5")
    assert first["document"] == training.data.corpus[5]


def test_another_limit_measures_nothing_and_the_same_selection_is_found_again(training, tmp_path):
    one = select({"row": Row(5)}, training, tmp_path)
    again, other = Row(5), Row(2)
    assert select({"row": again}, training, tmp_path).folder == one.folder
    changed = select({"row": other}, training, tmp_path)
    assert changed.folder != one.folder
    assert changed.counts == {"kept": 3, "row": 5}
    assert again.blocks == other.blocks == []


def test_what_was_measured_before_an_interruption_is_not_measured_again(training, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        select({"row": Row(5, fails_at=2)}, training, tmp_path)
    rule = Row(5)
    assert select({"row": rule}, training, tmp_path).counts["kept"] == 6
    assert rule.blocks == [[5, 6]]
    assert not list((tmp_path / "work").iterdir())


def test_other_texts_labels_or_an_order_of_rules_are_another_selection(training, tmp_path):
    data = make_data(PAIRS[:-1], docs=8, queries=5)
    found = {
        select({"row": Row(5)}, training, tmp_path).folder.name,
        select({"row": Row(5)}, TrainingSet(data), tmp_path).folder.name,
        select({"row": Row(5), "even": Even(0)}, training, tmp_path).folder.name,
        select({"even": Even(0), "row": Row(5)}, training, tmp_path).folder.name,
    }
    assert len(found) == 4


def test_what_is_dropped_is_trained_on_no_more_and_is_no_negative_either(training, tmp_path):
    left = selected(training, select({"row": Row(5), "even": Even(0)}, training, tmp_path))
    assert left.queries.tolist() == [0, 2]
    assert [left.positives[query].tolist() for query in range(5)] == [[0], [], [2, 4], [], []]
    for query in range(5):
        assert left.known[query].tolist() == training.known[query].tolist()
    assert left.fingerprint != training.fingerprint
    assert left.fingerprint != TrainingSet(make_data([(0, 0), (2, 2), (2, 4)], docs=8, queries=5)).fingerprint
    assert left.data.split("dev") is training.data.split("dev")
    assert left.popularity().tolist() == [0.5, 0, 0.25, 0, 0.25, 0, 0, 0]


def test_rows_show_kept_positives_in_turn(training, tmp_path):
    left = selected(training, select({"row": Row(5), "even": Even(0)}, training, tmp_path))
    rows = TrainingRows(left, Mixture({}, ("positive",), 1))
    assert len(rows) == 2
    assert [one_row(rows, epoch, 1, 0).docs.tolist() for epoch in range(3)] == [[2], [4], [2]]


def test_no_pair_left_says_which_rule_took_how_many(training, tmp_path):
    with pytest.raises(DataError, match=r"pairs=\[row,even\] leaves no pair of tiny to train on \(row 7, even 1\)"):
        select({"row": Row(1), "even": _Odd(0)}, training, tmp_path)


def test_a_rule_after_which_none_is_left_leaves_the_others_nothing_to_measure(training, tmp_path):
    even = Even(0)
    with pytest.raises(DataError, match=r"leaves no pair of tiny to train on \(row 8, even 0\)"):
        select({"row": Row(0), "even": even}, training, tmp_path)
    assert even.blocks == []


class _Odd(Even):
    def keep(self, values):
        return values[:, 0] % 2 == 1


def test_the_run_keeps_every_reason_and_a_report_which_is_shown_once(training, tmp_path, capsys):
    selection = select({"row": Row(5)}, training, tmp_path / "cache")
    write(tmp_path, selection)
    assert "dropped by row" in capsys.readouterr().out
    report = json.loads((tmp_path / "pairs.json").read_text())
    assert report["counts"] == {"kept": 6, "row": 2}
    assert report["selection"] == selection.folder.name
    assert kept_of(tmp_path).tolist() == selection.kept.tolist()
    with np.load(tmp_path / "pairs.npz") as held:
        assert held["rules"][held["reasons"][6]] == "row"
    write(tmp_path, selection)
    assert capsys.readouterr().out == ""
    assert kept_of(tmp_path / "cache") is None


def test_texts_with_brackets_are_shown_as_they_are(tmp_path, capsys):
    data = make_data([(0, 0), (1, 1)], docs=["a", "[bold]b[/x]"], queries=["q", "[/]"])
    show(select({"row": Row(1)}, TrainingSet(data), tmp_path), Console(width=200))
    assert "[bold]b[/x]" in capsys.readouterr().out


def test_pairs_come_in_the_order_of_the_queries(training):
    pairs = Pairs.of(training)
    assert list(zip(pairs.queries.tolist(), pairs.docs.tolist(), strict=True)) == PAIRS
    assert pairs.take(slice(1, 3)).texts("query") == [training.data.queries[0], training.data.queries[1]]


def test_texts_in_any_letters_are_written_whatever_the_locale(tmp_path):
    """Under LC_ALL=C, as on many a cluster, files are ASCII unless their encoding is said."""
    code = r"""
from pathlib import Path
from sys import argv
import numpy as np
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.training_set import TrainingSet
from hardneg.pairs.length import Length
from hardneg.pairs.report import write
from hardneg.pairs.select import select
ones = np.zeros(2, np.int32)
corpus = Texts.of(["a", "b"], ["\u015blimak", "\u015b"])
data = RetrievalData("data", corpus, Texts.of(["q"], ["\u017c\u00f3\u0142w"]),
    {"train": Qrels(ones, np.arange(2, dtype=np.int32), np.ones(2, np.float32))})
selection = select({"length": Length(document={"min": 3, "max": None})}, TrainingSet(data, "train"), Path(argv[1]))
for _ in range(2):
    write(Path(argv[1]), selection)
"""
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env={**os.environ, **poor}, check=True)
    assert json.loads((tmp_path / "pairs.json").read_text("utf-8"))["examples"][0]["document"] == "ś"
