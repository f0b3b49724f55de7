"""What the mined negatives of each set look like: ten drawn by a seed, and kinds counted over many more.

usage: examples.py DATA OUT [--start static] [--show SET]

Reads the last lists of `mined_plain` (seed 1, the rate that dev chose) in the cache that the runs used
(HARDNEG_CACHE), and writes START-examples.md; `--show` prints whole texts of one set and writes nothing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import kinds
import numpy as np
from hydra import compose, initialize_config_module
from transfer import contrasts, design

from hardneg.config import classes, composition
from hardneg.data.open_set import open_set
from hardneg.data.training_set import TrainingSet
from hardneg.mining.hidden_positives import share_of
from hardneg.mining.store import Store
from hardneg.runs.drawn_stores import read_stores

HERE = Path(__file__).parent
ARM, SEED, POOL, QUERIES, DRAWN, WIDTH, MARGIN = "mined_plain", 1, 20, 500, 10, 80, 0.05
# Their licences let us count: NFCorpus is for academic use, ObliQA has no licence. Of the others lines are quoted.
COUNTED_ONLY = ("nfcorpus-proc", "obliqa")
LICENCES = {
    "nl2bash": "NL2Bash, MIT",
    "conala": "CoNaLa, MIT; from Stack Overflow, CC BY-SA",
    "or-sharc": "ShARC, CC BY-SA 3.0",
    "medquad": "MedQuAD, CC BY 4.0",
    "scifact": "SciFact: claims CC BY 4.0, abstracts ODC-By 1.0",
    "squad-sent": "SQuAD, CC BY-SA 4.0",
}


@dataclass(frozen=True)
class Mined:
    """A negative that could have been drawn: its place in the list and its score over the lowest known positive's."""

    query: str
    positive: str
    negative: str
    rank: int
    share: float  # NaN where that positive's score is not above 0
    over: bool  # whether a relative margin of 5% would drop it
    kind: str


@dataclass(frozen=True, eq=False)
class Lists:
    """The mined lists of a run, and the data they are of."""

    training: TrainingSet
    store: Store

    @cached_property
    def answered(self) -> dict[int, list[int]]:
        """The training queries that each document is labelled for."""
        by_document: dict[int, list[int]] = {}
        pairs = self.training.positives
        for query, document in zip(pairs.row_ids.tolist(), pairs.values.tolist(), strict=True):
            by_document.setdefault(document, []).append(query)
        return by_document

    @cached_property
    def words(self) -> Callable[[int], frozenset[str]]:
        """The words of a document that count, which many queries ask for."""
        return cache(lambda row: kinds.words(self.training.data.corpus[row]))

    def pool(self, query: int) -> np.ndarray:
        """The ranks that training drew from."""
        return np.flatnonzero(self.store.keeps(query))[:POOL]


def main() -> None:
    """Write the page, or print one set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that holds the data sets, in BEIR layout")
    parser.add_argument("out", type=Path, help="where the runs are")
    parser.add_argument("--start", default="static")
    parser.add_argument("--show", metavar="SET", help="print the examples of this set, whole, and write nothing")
    given = parser.parse_args()
    study = design.read(HERE, given.data.resolve(), given.start)
    if given.show:
        lists = open_lists(study, given.out.resolve(), given.start, given.show)
        print("\n\n".join(whole(one) for one in drawn(lists)))
        return
    found = {name: open_lists(study, given.out.resolve(), given.start, name) for name in study.sets}
    text = "\n\n".join([counted(found), *(quoted(name, lists) for name, lists in found.items())]) + "\n"
    (HERE / f"{given.start}-examples.md").write_text(text, encoding="utf-8")
    print(text)


def open_lists(study: design.Study, out: Path, start: str, data: str) -> Lists:
    """Open what the last round of the run mined; exits where the run or its lists are not there."""
    one = contrasts.load(study, out, start, data)
    if one is None or ARM not in one.arms or SEED not in one.arms[ARM].runs:
        raise SystemExit(
            f"{design.home(study, out, start, data)} has no finished {ARM} of seed {SEED}: run.py trains it"
        )
    run = one.arms[ARM].runs[SEED]
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        cfg = compose("train", list(study.set_words[data]))
    kept = Path(cfg.cache)
    folder = kept / "stores" / read_stores(run.folder, ["mined"])["mined"][-1]
    if not (folder / "card.json").exists():
        raise SystemExit(f"{folder} is gone: set HARDNEG_CACHE to the cache of the runs, or train {run.folder} again")
    return Lists(TrainingSet(open_set(classes.build(cfg.data), kept)), Store(folder))


def sample(lists: Lists) -> np.ndarray:
    """The queries that are looked at, by the seed."""
    mined = np.flatnonzero(lists.store.mined)
    return np.random.default_rng(SEED).permutation(mined)[:QUERIES]


def drawn(lists: Lists) -> Iterator[Mined]:
    """Ten queries of the sample, of each one of the documents that training drew from."""
    draw = np.random.default_rng(SEED)
    for query in sample(lists)[:DRAWN].tolist():
        pool = lists.pool(query)
        if len(pool):
            yield look(lists, query, int(draw.choice(pool)))


def look(lists: Lists, query: int, rank: int) -> Mined:
    """Describe one negative."""
    training, store = lists.training, lists.store
    data, document = training.data, int(store.ids[query, rank])
    known = training.known[query].tolist()
    others = lists.answered.get(document, [])
    case = kinds.Case(
        kinds.words(data.queries[query]),
        [lists.words(row) for row in known],
        lists.words(document),
        [kinds.words(data.queries[row]) for row in others if row != query],
    )
    score, lowest = float(store.scores[query, rank]), float(store.positive[query])
    share, over = score / lowest if lowest > 0 else np.nan, score > lowest - MARGIN * abs(lowest)
    positive = data.corpus[int(training.positives[query][0])]
    return Mined(data.queries[query], positive, data.corpus[document], rank + 1, share, over, kinds.kind(case))


def counted(found: dict[str, Lists]) -> str:
    """How many of each kind, over all that the sampled queries could draw."""
    head = ["kind", *found]
    rows: dict[str, list[str]] = {name: [] for name in kinds.RULES}
    above, middle = [], []
    for lists in found.values():
        each = [[look(lists, query, int(rank)) for rank in lists.pool(query)] for query in sample(lists).tolist()]
        whole_size = np.array([len(one) for one in each])
        counts = [Counter(mined.kind for mined in one) for one in each]
        for name in kinds.RULES:
            rows[name].append(f"{share_of(np.array([count[name] for count in counts]), whole_size):.0%}")
        over = np.array([sum(mined.over for mined in one) for one in each])
        above.append(f"{share_of(over, whole_size):.0%}")
        middle.append(f"{np.nanmedian([mined.share for one in each for mined in one]):.2f}")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    lines += ["| *above 95% of the lowest positive's score* | " + " | ".join(above) + " |"]
    lines += ["| *score over the lowest positive's, median* | " + " | ".join(middle) + " |"]
    said = f"**Kinds of mined negatives**, of the first {POOL} that are no known positives, {QUERIES} training queries"
    said += (
        f" a set (`{ARM}`, seed {SEED}, the last lists); 95% intervals over queries. The first rule that holds counts:"
    )
    rules = "\n".join(f"- *{name}*: {kinds.SAID[name]}" for name in kinds.RULES)
    return "\n\n".join([said, rules, "\n".join(lines)])


def quoted(name: str, lists: Lists) -> str:
    """The ten examples of a set, a line each, or their kinds alone where its licence says no more."""
    examples = list(drawn(lists))
    if name in COUNTED_ONLY:
        count = Counter(one.kind for one in examples)
        kind_counts = ", ".join(f"{kind} {n}" for kind, n in count.most_common())
        return f"**{name}** (not quoted: its licence does not allow for it). Of ten drawn: {kind_counts}."
    head = ("query", "a positive", "mined negative", "rank", "share", "kind")
    lines = [f"**{name}**, ten drawn by seed {SEED} ({LICENCES[name]}; cut to {WIDTH} characters)", ""]
    lines += ["| " + " | ".join(head) + " |", "| --- | --- | --- | ---: | ---: | --- |"]
    for one in examples:
        texts = [short(text) for text in (one.query, one.positive, one.negative)]
        lines.append("| " + " | ".join([*texts, f"{one.rank}", f"{one.share:.2f}", one.kind]) + " |")
    return "\n".join(lines)


def short(text: str) -> str:
    """One line of a table."""
    line = " ".join(text.split())
    line = line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
    return line.replace("\\", "\\\\").replace("|", "\\|").replace("`", "'").replace("<", "&lt;").replace("*", "\\*")


def whole(one: Mined) -> str:
    """An example as it is, for reading."""
    return (
        f"rank {one.rank}, {one.share:.2f} of the positive's score, {one.kind}\n"
        f"Q: {one.query}\n+: {one.positive}\n-: {one.negative}"
    )


if __name__ == "__main__":
    main()
