"""Every table that is printed, at the width of usual terminals: no digit, sign or name is lost, and no line too long.

A module that makes a table belongs in `TABLES`, with a function that prints it with large numbers and long names and
returns what must be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import NonCallableMock

import numpy as np
import pytest

import hardneg
from hardneg.ab import terminal_report
from hardneg.ab.effects import Effect
from hardneg.ab.gained_lost import Changes
from hardneg.ab.interleaving import Interleaved
from hardneg.ab.relevance import Judgements
from hardneg.ab.report import AbPlan, Report
from hardneg.commands import cache, check, probe
from hardneg.compare import across_tables
from hardneg.compare import tables as compare_tables
from hardneg.compare.across_sets import Across
from hardneg.compare.comparison import ArmRow, Comparison, ComparisonPlan, Contrast
from hardneg.compare.statistics import Components, Difference
from hardneg.inspection import show as inspect
from hardneg.inspection.lengths import USUAL
from hardneg.mining import report as mined
from hardneg.mining.hidden_positives import Leak, Share
from hardneg.mining.store import Store
from hardneg.pairs import report as pairs
from hardneg.pairs.select import Selection
from hardneg.runs import results
from hardneg.serving.freshness import CheckResult, Freshness
from hardneg.sweep import jobs_table
from hardneg.system import cache_layers

SOURCE = Path(hardneg.__file__).parent
ARM = "msmarco_v2_passages-in_batch+bm25+mined-infonce+margin_mse"
SET = "msmarco_v2_passages_judged_by_experts"
FILTER = "relative_margin_of_my_own_package"
MANY = 1_234_567
DIFFERENCE = Difference(-0.0123, 0.0045, 12345.6, 3, 502_939, Components(0.1, 0.1, 0.1))

Print = Callable[[Path], Sequence[str]]


def _contrast() -> Contrast:
    return Contrast(DIFFERENCE, True, 0.00012, 0.00034, 0.00056, -0.123, (123_456, 234_567, 345_678))


def _comparison(data: str = SET) -> Comparison:
    rows = [
        ArmRow(ARM, (1, 2, 3), 0.4321, 0.0123, _contrast()),
        ArmRow("in_batch-infonce", (1, 2, 3), 0.4444, 0.0123, None),
    ]
    return Comparison(
        data, ComparisonPlan("ndcg@10", margin=0.01), "in_batch-infonce", rows, 0, [f"{ARM} differs in seed"]
    )


def _compare(_: Path) -> list[str]:
    compare_tables.show(_comparison())
    low, high = DIFFERENCE.interval()
    return [ARM, "in_batch-infonce", "0.4321", "0.4444", f"-0.0123 [{low:+.4f}, {high:+.4f}]", "0.00012", SET]


def _across(_: Path) -> list[str]:
    sets = [f"{SET}_{number}" for number in range(12)]
    across_tables.show(Across("ndcg@10", {name: _comparison(name) for name in sets}, _comparison()))
    return [ARM, *sets, *["0.4321‡"] * (len(sets) + 1), *["0.4444"] * (len(sets) + 1)]


def _jobs(folder: Path) -> list[str]:
    facts = {"best": "ndcg@10", "step": 120_000, "steps": 1_200_000, "started": 0.0, "updated": 360_000.0}
    facts |= {"test": {"ndcg@10": 0.4375}, "dev_at_best": {"ndcg@10": 0.4876}}
    failed = {**facts, "error": "ValueError: no [rate]"}
    states = {"running": facts, "failed": failed, "interrupted": facts}
    jobs_table.show(folder, [jobs_table.JobRow(folder, f"{ARM}-{state}", state, of) for state, of in states.items()])
    return [*(f"{ARM}-{state}" for state in states), *["120000/1200000", "0.4375", "0.4876"] * 3, failed["error"]]


def _closing(_: Path) -> list[str]:
    systems = {name: {f"ndcg_cut_{k}": (at + 1) / 9 for k in range(10)} for at, name in enumerate(["BM25", SET, ARM])}
    results.show(f"{ARM} on {SET} (test), {MANY:,} queries", systems)
    return [ARM, SET, f"{MANY:,}", *["0.1111", "0.2222", "0.3333"] * 10, *systems[ARM]]


def _probed(_: Path) -> list[str]:
    share = Share(0.12345, 0.11111, 0.13579)
    probe.show(ARM, {name: Leak(share, share, 1234.56, 0.999, MANY, 7 * MANY) for name in ("known_positives", FILTER)})
    return [ARM, f"{MANY:,}", f"{7 * MANY:,}", FILTER, *[str(share), f"{share:.2%}", "1234.6", "99.9%"] * 2]


def _mined(_: Path) -> list[str]:
    reasons = ["kept", "known_positives", FILTER]
    store = NonCallableMock(
        spec=Store,
        card={"queries": MANY, "reasons": reasons},
        ids=np.zeros((4, 3), int),
        reasons=np.array([[0, 1, 2]] * 4),
    )
    mined.show(ARM, store, {"kept": 0.1234, "documents_per_second": 123_456.0, f"my_{FILTER}": -0.00001234})
    return [ARM, f"{MANY:,}", "share kept", "1.235e+05", "-1.234e-05", f"my_{FILTER}", f"dropped by {FILTER}", "33.3%"]


def _pairs(_: Path) -> list[str]:
    text = "an_identifier_that_is_rather_long and some words behind it, as in a query of a user"
    example = {"dropped_by": FILTER, "measured": "-123456.7890", "query": text[:57], "document": text[:50]}
    selection = NonCallableMock(
        spec=Selection, counts={"kept": MANY, FILTER: 7 * MANY}, card={"examples": [example] * 2}
    )
    pairs.show(selection)
    return [f"{MANY:,}", f"{8 * MANY:,}", f"{7 * MANY:,}", FILTER, *["-123456.7890"] * 2, "87.5%"]


def _ab(_: Path) -> list[str]:
    wins = (123_456, 234_567, 345_678)
    effects = tuple(
        Effect(name, 502_939, 0.4444, 0.4321, DIFFERENCE, wins) for name in ("ndcg@10", "my_metric_of_first_hits")
    )
    slices = tuple(Effect(name, 345_678, 0.4444, 0.4321, DIFFERENCE, wins) for name in (SET, "words in the document"))
    moved = NonCallableMock(spec=Changes, lost=[0] * 123_456, gained=[0] * 12_345, lost_share=0.123, gained_share=0.456)
    report = NonCallableMock(
        spec=Report, old=f"runs/{ARM}/test.run", new="runs/new.run", effects=effects, effect=effects[0], slices=slices,
        judged=NonCallableMock(spec=Judgements, ids=[""] * 502_939), plan=AbPlan(), changes=moved, common=0.789,
        unjudged=(0.1, 0.2), rbo=np.array([0.5, 0.7]), notes=("a note",), passed=False, verdict="worse",
        interleaved=Interleaved("simulated clicks", "query", 123_456, 345_678, 234_567, 456_789, DIFFERENCE),
    )  # fmt: skip
    terminal_report.show(report)
    won = "123456 / 234567 / 345678"
    return [ARM, SET, "my_metric_of_first_hits", *[effects[0].in_words] * 5, *[won] * 4, "345678 / 234567 / 123456"]


def _checked(_: Path) -> list[str]:
    says = f"{MANY} documents of {7 * MANY} are of another text than [v2] {SET}"
    check.show(Freshness(f"b-{SET}", "2026-11-29T12:00", (CheckResult("corpus", False, says),), f"hardneg index {ARM}"))
    return [f"b-{SET}", str(MANY), str(7 * MANY), "[v2]", f"hardneg index {ARM}", "STALE"]


def _cached(folder: Path) -> list[str]:
    (folder / "stores" / "one").mkdir(parents=True)
    (folder / "stores" / "one" / "ids.npy").write_bytes(b"0" * 987_654)
    cache.show(folder)
    return [*cache_layers.LAYERS, "987.7 kB"]


def _inspected(_: Path) -> list[str]:
    side = {"measured": 10_000, "of": 8_841_823, "median": 10_357, "p90": 31_357, "p99": 119_640, "max": 1_225_750}
    side |= {"fits": 8192, "cut": {str(at): 1.0 for at in USUAL}}
    counts = {"1": 493_239, "2": 118_116, "3-5": 112_315, "6-10": 101_000, "11+": 101_201}
    split = {
        "queries": 502_939, "judgements": 8_532_761, "relevant_documents": 516_472,
        "grades": {"0": 8_012_345, "1": 532_761, "2": 100_000},
        "positives_per_query": {"mean": 1.1, "queries_with": counts},
    }  # fmt: skip
    asked = {"queries": 10_000, "of": 502_939, "top10": 0.5, "top100": 1.0, "nothing": 0.123}
    copies = [{"times": 123_456, "ids": ["q123456", "q234567"], "text": "some words " * 20}]
    text = {"texts": 123_456, "groups": 12_345, "examples": copies}
    inspect.show(
        {
            "data": {"name": SET, "documents": 8_841_823, "queries": 502_939, "sets": [], "given_negatives": MANY,
                     "given_scores": False, "query_prompt": None},
            "splits": {"train": split, SET: split}, "encoder": "static", "lengths": {"query": side, "document": side},
            "bm25": {"documents": MANY, "of": 8_841_823, "splits": {"train": asked, SET: asked}},
            "scripts": {"query": {"Latin": 1.0}, "document": {"Latin": 1.0}},
            "duplicates": {"query": text, "document": text},
            "empty": {"query": {"texts": 1}, "document": {"texts": 1}},
            "queries_that_are_documents": {"queries": 123, "examples": []}, "leaks": [],
            "near_copies": {"with_near_copies": 0, "alike_from": 0.8, "queries": 10_000},
            "findings": [f"{MANY:,} documents are cut"], "words": ["hardneg", "train"], "command": "hardneg train",
        }
    )  # fmt: skip
    large = ["502,939", "8,532,761", "516,472", "8,012,345", "532,761", "100,000", "10,000 of 502,939"]
    return [SET, *large, *(f"{n:,}" for n in counts.values()), "1225750", "119640", *["100.0%"] * 12]


TABLES: dict[str, Print] = {
    "ab/terminal_report.py": _ab,
    "commands/cache.py": _cached,
    "commands/check.py": _checked,
    "commands/probe.py": _probed,
    "compare/across_tables.py": _across,
    "compare/tables.py": _compare,
    "inspection/show.py": _inspected,
    "mining/report.py": _mined,
    "pairs/report.py": _pairs,
    "runs/results.py": _closing,  # also of hardneg evaluate, train-teacher and race
    "sweep/jobs_table.py": _jobs,  # its live table has tests of its own
}
MAKES = re.compile(r"from rich.table import|import .*laid_out")


def test_every_table_is_here():
    making = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if MAKES.search(path.read_text("utf-8"))}
    assert making - {"system/terminal_tables.py"} == set(TABLES)  # that one only lays out


@pytest.mark.parametrize("width", [80, 100, None])
@pytest.mark.parametrize("module", TABLES)
def test_nothing_is_lost(module, width, tmp_path, capsys, monkeypatch):
    """A width of None is a pipe."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, a terminal
    needed = TABLES[module](tmp_path)
    told = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    print(told)  # seen where the test fails
    assert "…" not in told
    if width is None and module.startswith("compare/"):  # what others read line by line
        assert all(told.count(text) >= needed.count(text) for text in needed)
    lost = [text for text in dict.fromkeys(needed) if shown(told, text) < (needed.count(text) if width else 1)]
    assert not lost
    lines = [line for line in told.splitlines() if not line.startswith(COPIED)]
    assert width is None or max(map(len, lines)) <= width


COPIED = ("To repair it:", "hardneg")  # commands, which a terminal breaks so that they can be copied


def shown(told: str, text: str) -> int:
    """How often a text is there, as a whole or going on in the lines below."""
    lines = [re.sub(r"[│┃|]", "  ", line) for line in told.splitlines()]
    whole = sum(line.count(text) for line in lines)
    return whole or any(_goes_on(lines[at:], text.replace(" ", "")) for at in range(len(lines)))


def _goes_on(lines: Sequence[str], rest: str) -> bool:
    """Whether each of these lines has a word that continues the text, from the first line on."""
    if not rest or not lines:
        return not rest
    cells = {cell.replace(" ", "") for cell in [*re.split(r"\s{2,}", lines[0]), *lines[0].split()]} - {""}
    return any(_goes_on(lines[1:], rest.removeprefix(cell)) for cell in cells if rest.startswith(cell))
