"""The report's numbers by hand, the gate's limits, and files that no text can break."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from hardneg.ab import json_report
from hardneg.ab.effects import Pairing
from hardneg.ab.figures import moves
from hardneg.ab.gate import Gate
from hardneg.ab.html_report import page
from hardneg.ab.markdown_report import escaped, markdown
from hardneg.ab.relevance import Judgements
from hardneg.ab.report import AbPlan, compare
from hardneg.ab.systems import ComparedSystem
from hardneg.ab.terminal_report import show
from hardneg.errors import UserError

EVIL = '<script>alert(1)</script> | *bold* `code` [x](javascript:y) & "quoted"'


def ranked(*docs):
    return {doc: 1.0 / rank for rank, doc in enumerate(docs, 1)}


def world(queries=40, text="what is it {}"):
    """In OLD every good document is first; NEW has it second for every fourth query, and lost it for one."""
    ids = [f"q{i:02d}" for i in range(queries)]
    judged = Judgements(
        "made up", {q: {f"good-{q}": 1, f"bad-{q}": 0} for q in ids},
        queries={q: text.format("so " * (number % 5)) for number, q in enumerate(ids)},
        docs={f"{kind}-{q}": f"{kind} {EVIL}" for q in ids for kind in ("good", "bad")},
    )  # fmt: skip
    old = {q: ranked(f"good-{q}", f"bad-{q}") for q in ids}
    new = {q: ranked(f"bad-{q}", f"good-{q}") if i % 4 == 0 else old[q] for i, q in enumerate(ids)}
    new["q01"] = ranked("bad-q01", "other")
    return ComparedSystem("old.run", old), ComparedSystem("new.run", new), judged


def test_the_numbers():
    report = compare(*world(), AbPlan(metrics=("ndcg@10", "mrr@10"), k=2))
    d = np.zeros(40)
    d[::4], d[1] = -0.5, -1
    effect = report.effects[1]
    assert (effect.old, effect.new) == (1.0, pytest.approx(1 + d.mean()))
    low, high = stats.t.interval(0.95, 39, d.mean(), stats.sem(d))
    assert (effect.low, effect.high) == (pytest.approx(low), pytest.approx(high))
    assert effect.wins == (0, 29, 11) and report.verdict == "worse"
    assert (len(report.changes.lost), report.changes.lost_share, len(report.changes.gained)) == (1, 1 / 40, 0)
    assert report.unjudged == (0, pytest.approx(0.5 / 40)) and report.common == pytest.approx((39 + 0.5) / 40)
    assert [example.query for example in report.examples] == ["q01"]
    assert sum(one.queries for one in report.slices if one.name.startswith("query length")) == 40
    assert report.interleaved is not None and report.interleaved.difference.mean < 0
    assert any("One run of each" in note for note in report.notes)
    counts, names = moves(report)
    assert names == ["1", "2", "3", "4-20", "none"]
    assert counts.sum() == 40 and counts[0, 0] == 29 and counts[0, 1] == 10 and counts[0, -1] == 1


def test_clusters_widen_the_interval_and_sets_count_the_same(tmp_path):
    old, new, judged = world()
    (tmp_path / "c.tsv").write_text("".join(f"{q}\t{int(q[1:]) % 4}\n" for q in judged.ids))
    one, other = compare(old, new, judged, AbPlan()), compare(old, new, judged, AbPlan(cluster=tmp_path / "c.tsv"))
    assert other.effect.difference.queries == 4
    assert other.effect.high - other.effect.low > one.effect.high - one.effect.low
    pairing = Pairing(np.array([2.0, 2.0, 2 / 3, 2 / 3, 2 / 3, 2 / 3])[:6] / 1.1111111, None, 0.0)
    effect = pairing.effect("m", np.zeros(6), np.array([1.0, 1.0, 0, 0, 0, 0]))
    assert effect.new == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (Gate(delta=-0.01), ["the interval reaches below -0.01"]),
        (Gate(delta=-0.5, lost=0.03, slice=-0.9), []),
        (Gate(lost=0.02), ["2.5% of the queries lost a relevant document from the first 10; at most 2.0% may"]),
        (Gate(slice=-0.01, least=40), []),
        (Gate(slice=-0.01, least=8), ["slice query length"]),
    ],
)
def test_the_gate_says_why(gate, says):
    report = compare(*world(), AbPlan(gate=gate))
    assert report.passed is not bool(says)
    for expected in says:
        assert any(expected in reason for reason in report.reasons)
    assert bool(report.reasons) is bool(says)
    assert compare(*world(), AbPlan()).passed is None


def test_what_cannot_be_told_does_not_pass():
    old, new, judged = world(queries=2)
    one = Judgements("one", {"q00": judged.labels["q00"]})
    assert compare(old, old, one, AbPlan(gate=Gate(delta=-0.01), user=None)).passed is False
    assert json.loads(json_report.text(compare(old, new, one, AbPlan())))["metrics"][0]["low"] is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"k": 0}, "--k 0: must be 1 or more"),
        ({"metrics": ("ndcg@10", "ndcg@10")}, "name each once"),
        ({"user": "nobody"}, "--click-model nobody"),
        ({"tie": -1.0}, "--tie -1"),
        ({"tie": float("nan")}, "--tie nan"),
        ({"seed": -1}, "--seed -1: must be 0 or more"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        AbPlan(**wrong)
    with pytest.raises(UserError, match="--gate-lost 5"):
        Gate(lost=5.0)
    with pytest.raises(UserError, match="--gate-delta"):
        Gate(delta=-10.0)


def test_rankings_of_other_queries_are_refused():
    old, new, judged = world()
    with pytest.raises(UserError, match="else ranks none of the 40 queries with a relevant document in made up"):
        compare(old, ComparedSystem("else", {"z": {"d": 1.0}}), judged, AbPlan())
    partly = ComparedSystem("partly", {**dict(list(new.rankings.items())[:30]), "z": {"d": 1.0}})
    notes = "\n".join(compare(old, partly, judged, AbPlan()).notes)
    assert "partly finds nothing for 10 of 40 queries" in notes and "ranks 1 query without" in notes


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], set(), []
        self.ids = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.ids += [value for key, value in attrs if key == "id"]
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in ("meta", "br", "use", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag or tag in ("use", "path", "rect")

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_whole_and_texts_stay_texts():
    report = compare(*world(text=EVIL + " {}"), AbPlan(k=2, gate=Gate(delta=-0.01)))
    text = page(report)
    assert (
        "<script" not in text
        and "default-src 'none'" in text
        and "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/", "")
    )
    assert text.count("<svg") == 3 and "&lt;script&gt;" in text
    assert "width=device-width" in text and "gate: NOT passed" in text
    found = Tags(text)
    assert not found.open and len(set(found.ids)) == len(found.ids), "no two figures share an id"
    hidden = page(report, texts=False)
    assert "alert" not in hidden and "good-q01" in hidden


def test_markdown_texts_stay_texts():
    report = compare(*world(text=EVIL + " {}"), AbPlan(k=2))
    text = markdown(report)
    assert "<script>" not in text and "\\<script\\>" in text and "\\[x\\]" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows and all(line.endswith("|") for line in rows)
    assert "alert" not in markdown(report, texts=False)
    assert escaped("a|b") == "a\\|b"


def test_the_terminal_names_old_before_new_as_they_were_given(capsys):
    show(compare(*world(), AbPlan(k=2)))
    assert capsys.readouterr().out.startswith("old old.run\nnew new.run\nworse in")
