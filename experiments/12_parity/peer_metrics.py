"""Our metrics against trec_eval (through pytrec_eval, and written out), MTEB, BEIR, ranx and sentence-transformers.

One run with all that runs have: grades from 0 to 3, equal scores, documents that nobody judged, short lists, a query
for which nothing was found, and one for which nothing is relevant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytrec_eval
import ranx
from beir.retrieval.evaluation import EvaluateRetrieval
from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores
from rows import Row, named, write
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

from hardneg.retrieval.metrics import of_rankings

CUTS = [1, 3, 5, 10, 100]
EMPTY, HOPELESS = "q38", "q39"
Run = dict[str, dict[str, float]]
Labels = dict[str, dict[str, int]]


def world(ties: bool) -> tuple[Run, Labels]:
    """Forty queries; with `ties`, scores in steps of a quarter, so that most of a list is equal to its neighbours."""
    rng = np.random.default_rng(0)
    docs = [f"d{i:03}" for i in range(300)]
    run: Run = {}
    labels: Labels = {}
    for q in range(40):
        judged = rng.choice(docs, 40, replace=False).tolist()
        grades = rng.integers(0, 4, 40) * (rng.random(40) < 0.4)
        by_id = dict(zip(judged, grades.tolist(), strict=True))
        found = rng.permutation([*judged[:25], *rng.choice(docs, 120, replace=False)]).tolist()
        found = list(dict.fromkeys(found))[: int(rng.integers(3, 130))]
        scores = rng.normal(size=len(found)) + 0.7 * np.array(
            [grades[judged.index(d)] if d in judged else 0 for d in found]
        )
        scores = np.round(scores * 4) / 4 if ties else scores
        labels[f"q{q:02}"] = by_id
        run[f"q{q:02}"] = dict(zip(found, scores.tolist(), strict=True))
    run[EMPTY] = {}
    labels[HOPELESS] = dict.fromkeys(labels[HOPELESS], 0)
    return run, labels


def names(*families: str) -> list[str]:
    """Each family at each cut, by our names."""
    return [f"{family}@{k}" for family in families for k in CUTS]


def row(peer: str, what: str, apart: float, values: int, note: str = "", allowed: float = 1e-9) -> Row:
    """One row; the version is that of the package which computes."""
    return Row(peer, named(peer), what, "", values, apart, None, note, allowed)


def by_trec_eval() -> Row:
    """Query by query, as the C code gives them."""
    run, labels = world(ties=True)
    trec = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "success": "success"}
    ours = of_rankings(run, labels, [*names(*trec), "map", "mrr", "rprec", "bpref"])
    evaluator = pytrec_eval.RelevanceEvaluator(
        labels, {f"{t}.{','.join(map(str, CUTS))}" for t in trec.values()} | {"map", "recip_rank", "Rprec", "bpref"}
    )
    theirs = evaluator.evaluate(run)
    key = {"map": "map", "mrr": "recip_rank", "rprec": "Rprec", "bpref": "bpref"}
    key |= {f"{family}@{k}": f"{name}_{k}" for family, name in trec.items() for k in CUTS}
    apart = [
        abs(ours[name][i] - theirs[query].get(key[name], 0.0))
        for name in ours
        for i, query in enumerate(run)
        if query in theirs
    ]
    return row(
        "pytrec_eval-terrier",
        "nDCG, MAP, recall, precision, success, MRR, R-precision, bpref",
        max(apart),
        len(apart),
        "ours are computed by it, but for mrr@k, which it has not",
    )


def written_out(found: Mapping[str, float], grades: Mapping[str, int], name: str) -> float:
    """A metric of one query from trec_eval's definitions: equal scores by document id, the last first."""
    family, cut = name.split("@")
    k = int(cut)
    ranked = sorted(found, key=lambda doc: (found[doc], doc), reverse=True)[:k]
    gains = [grades.get(doc, 0) for doc in ranked]
    relevant = sum(grade > 0 for grade in grades.values())
    if family == "precision":
        return sum(g > 0 for g in gains) / k
    if family == "mrr":
        return next((1 / (i + 1) for i, g in enumerate(gains) if g > 0), 0.0)
    if not relevant:
        return 0.0
    if family == "recall":
        return sum(g > 0 for g in gains) / relevant
    if family == "map":
        hits = [i for i, g in enumerate(gains) if g > 0]
        return sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / relevant
    ideal = sorted(grades.values(), reverse=True)[:k]
    dcg, best = (sum(g / math.log2(i + 2) for i, g in enumerate(each)) for each in (gains, ideal))
    return dcg / best


def by_definition() -> Row:
    """The same definitions without the C code."""
    run, labels = world(ties=True)
    asked = names("ndcg", "map", "recall", "precision", "mrr")
    ours = of_rankings(run, labels, asked)
    apart = [
        abs(ours[name][i] - written_out(found, labels[query], name))
        for name in asked
        for i, (query, found) in enumerate(run.items())
    ]
    return row("trec_eval (formula)", "nDCG, MAP, recall, precision, MRR at 5 cuts, with ties", max(apart), len(apart))


def means(run: Run, labels: Labels, asked: list[str], queries: list[str]) -> dict[str, float]:
    """Our means over these queries."""
    found = of_rankings(run, labels, asked)
    places = [list(run).index(query) for query in queries]
    return {name: float(values[places].mean()) for name, values in found.items()}


def by_mteb() -> Row:
    """The means that MTEB reports."""
    run, labels = world(ties=True)
    theirs = calculate_retrieval_scores(run, labels, CUTS)
    ours = means(run, labels, names("ndcg", "map", "recall", "precision", "mrr", "success"), list(theirs.all_scores))
    families = {
        "ndcg": ("ndcg", "NDCG"),
        "map": ("map", "MAP"),
        "recall": ("recall", "Recall"),
        "precision": ("precision", "P"),
        "success": ("hit_rate", "HitRate"),
    }
    apart = []
    for name, value in ours.items():
        family, k = name.split("@")
        if family == "mrr":  # over all queries of the run
            value, other = means(run, labels, [name], list(run))[name], theirs.mrr[f"MRR@{k}"]
        else:
            group = getattr(theirs, families[family][0])
            other = next(v for key, v in group.items() if key.lower().endswith(f"@{k}") or key.endswith(f"_{k}"))
        apart.append(abs(value - other))
    return row(
        "mteb",
        "nDCG, MAP, recall, precision, MRR, hit rate, means, with ties",
        max(apart),
        len(apart),
        "theirs rounds means to 5 digits",
        5.1e-6,
    )


def by_beir(ties: bool) -> Row:
    """The means that BEIR's evaluator gives."""
    run, labels = world(ties)
    four = EvaluateRetrieval.evaluate(labels, {q: dict(found) for q, found in run.items()}, CUTS)
    ours = means(run, labels, names("ndcg", "map", "recall", "precision"), beir_queries(run, labels))
    theirs = {
        key.lower().replace("p@", "precision@") if key.startswith("P@") else key.lower(): value
        for group in four
        for key, value in group.items()
    }
    what, note = "nDCG, MAP, recall, precision, means, with ties", "theirs rounds means to 5 digits"
    if not ties:
        what = "MRR, means, without ties"
        note += "; of equal scores theirs takes the one that was listed first, trec_eval and ours the larger id"
        ours = means(run, labels, names("mrr"), list(run))
        theirs = {k.lower(): v for k, v in EvaluateRetrieval.evaluate_custom(labels, run, CUTS, "mrr").items()}
    apart = [abs(value - theirs[name]) for name, value in ours.items()]
    return row("beir", what, max(apart), len(apart), note, 5.1e-6)


def beir_queries(run: Run, labels: Labels) -> list[str]:
    """The queries that pytrec_eval, and so BEIR's mean, counts."""
    return list(pytrec_eval.RelevanceEvaluator(labels, {"map"}).evaluate(run))


def by_ranx() -> Row:
    """Ranx's own compiled code, query by query; it has no rule for equal scores."""
    run, labels = world(ties=False)
    kept = [query for query in run if query not in (EMPTY, HOPELESS)]
    run, labels = {q: run[q] for q in kept}, {q: labels[q] for q in kept}
    asked = names("ndcg", "map", "recall", "precision", "mrr", "hit_rate", "f1")
    ours = of_rankings(run, labels, asked)
    theirs = ranx.evaluate(ranx.Qrels(labels), ranx.Run(run), asked, return_mean=False)
    apart = [float(np.abs(ours[name] - theirs[name]).max()) for name in asked]
    return row(
        "ranx", "nDCG, MAP, recall, precision, MRR, hit rate, F1, without ties", max(apart), len(asked) * len(kept)
    )


def by_sentence_transformers() -> Row:
    """Their evaluator's means, which know relevant and not relevant."""
    run, labels = world(ties=False)
    kept = [query for query in run if query != HOPELESS]
    yes = {q: {doc: int(g > 0) for doc, g in labels[q].items()} for q in kept}
    relevant = {q: {doc for doc, g in yes[q].items() if g} for q in kept}
    theirs = InformationRetrievalEvaluator(
        dict.fromkeys(kept, ""),
        {},
        relevant,
        mrr_at_k=CUTS,
        ndcg_at_k=CUTS,
        accuracy_at_k=CUTS,
        precision_recall_at_k=CUTS,
        map_at_k=CUTS,
    ).compute_metrics([[{"corpus_id": d, "score": s} for d, s in run[q].items()] for q in kept])
    group = {
        "ndcg": "ndcg@k",
        "mrr": "mrr@k",
        "recall": "recall@k",
        "precision": "precision@k",
        "success": "accuracy@k",
    }
    ours = means({q: run[q] for q in kept}, yes, names(*group), kept)
    apart = [abs(v - theirs[group[name.split("@")[0]]][int(name.split("@")[1])]) for name, v in ours.items()]
    note = "MAP@k: theirs divides by min(k, relevant), trec_eval and ours by all relevant; grades theirs has not"
    return row(
        "sentence-transformers",
        "InformationRetrievalEvaluator: nDCG, MRR, recall, precision, accuracy, means",
        max(apart),
        len(apart),
        note,
    )


if __name__ == "__main__":
    write(
        [
            by_trec_eval,
            by_definition,
            by_mteb,
            lambda: by_beir(True),
            lambda: by_beir(False),
            by_ranx,
            by_sentence_transformers,
        ]
    )
