"""Names of metrics: the usual ones, trec_eval's and ranx's, and the measure that each stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hardneg.errors import ConfigError

# Our name -> trec_eval's with a cut, and without. mrr@k is recip_rank where the first relevant document is within k.
TREC: dict[str, tuple[str | None, str | None]] = {
    "ndcg": ("ndcg_cut", "ndcg"),
    "map": ("map_cut", "map"),
    "mrr": ("recip_rank", "recip_rank"),
    "recall": ("recall", "set_recall"),
    "precision": ("P", "set_P"),
    "success": ("success", None),
    "rprec": (None, "Rprec"),
    "bpref": (None, "bpref"),
    "infap": (None, "infAP"),
}
# Those that trec_eval lacks, or has only in another form; they are in `formulas`.
FORMULAS = ("hit_rate", "hits", "f1", "judged", "dcg", "dcg_burges", "ndcg_burges")
ALSO_CALLED = {"P": "precision", "p": "precision", "hit": "hit_rate", "r_precision": "rprec", "r-precision": "rprec"}
UNCUT_ONLY = ("rprec", "bpref", "infap")
CUT_ONLY = ("success",)
OF_TREC = (
    *("recip_rank", "Rprec", "infAP", "11pt_avg"),
    *("set_P", "set_recall", "set_F", "set_map", "num_rel_ret", "num_ret"),
)
OF_TREC_CUT = ("ndcg_cut", "map_cut", "recall", "P", "success")
# Measures of gains: grades that `data.relevant_from` calls not relevant count there all the same.
GRADED = ("ndcg", "dcg", "dcg_burges", "ndcg_burges", "rbp")


@dataclass(frozen=True)
class Measure:
    """The measure of a name: a family, the cut (null: the whole ranking), and trec_eval's name for it, if any.

    `persistence` is that of rbp.
    """

    family: str
    cut: int | None = None
    trec: str | None = None
    persistence: float | None = None


def known() -> str:
    """List the names, for a message."""
    both = [name for name in (*TREC, *FORMULAS) if name not in (*UNCUT_ONLY, *CUT_ONLY)]
    return (
        f"{', '.join(f'{name}@k' for name in (*both, *CUT_ONLY))} (all but success also without @k),"
        f" {', '.join(UNCUT_ONLY)}, rbp.95; P@k is precision@k, hit@k hit_rate@k; trec_eval's own:"
        f" {', '.join(f'{name}_k' for name in OF_TREC_CUT)}, {', '.join(OF_TREC)}"
    )


def measure(name: str) -> Measure:
    """Return the measure of a name; raises `ConfigError` with a list of the known names."""
    found = _usual(name) or _of_trec(name)
    if found is None:
        raise ConfigError(
            f"evaluate.metrics: {name!r} is not known; there are {known()}; or one of your own by its _target_, as in"
            " {_target_: mypackage.metrics.first_hit}"
        )
    return found


def _usual(name: str) -> Measure | None:
    if found := re.fullmatch(r"rbp[.@](\d+)", name):  # rbp.95: a persistence of 0.95
        persistence = float(f"0.{found[1]}")
        return Measure("rbp", persistence=persistence) if persistence > 0 else None
    found = re.fullmatch(r"([A-Za-z][\w-]*?)(?:@([1-9]\d*))?", name)
    if found is None:
        return None
    family, cut = ALSO_CALLED.get(found[1], found[1]), int(found[2]) if found[2] else None
    if family in FORMULAS:
        return Measure(family, cut)
    if family not in TREC or (trec := TREC[family][cut is None]) is None:
        return None
    return Measure(family, cut, trec if cut is None or family == "mrr" else f"{trec}.{cut}")


def _of_trec(name: str) -> Measure | None:
    """A name of trec_eval's own, such as ndcg_cut_10, ndcg_cut.10 and recip_rank."""
    if found := re.fullmatch(rf"({'|'.join(OF_TREC_CUT)})[_.]([1-9]\d*)", name):
        family = {"ndcg_cut": "ndcg", "map_cut": "map"}.get(found[1], found[1])
        return Measure(family, int(found[2]), f"{found[1]}.{found[2]}")
    if re.fullmatch(r"iprec_at_recall[_.](0\.\d0|1\.00)", name):
        return Measure("iprec", None, f"iprec_at_recall.{name[-4:]}")
    return Measure(name, None, name) if name in OF_TREC else None
