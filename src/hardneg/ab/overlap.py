"""How alike two rankings are, whatever is relevant: rank-biased overlap and the share of common results."""

from __future__ import annotations

from collections.abc import Sequence


def rbo(first: Sequence[str], other: Sequence[str], p: float = 0.9) -> float:
    """Return the extrapolated rank-biased overlap of two rankings without ties, which may differ in length.

    1 for equal rankings, 0 for ones that share nothing. With `p` 0.9 the first ten ranks have 86% of the weight. It is
    RBO_EXT of Webber, Moffat and Zobel 2010 (doi:10.1145/1852102.1852106), equation 32: the observed overlap is assumed
    to go on below.
    """
    short, long = sorted((first, other), key=len)
    s, n = len(short), len(long)
    if not s:
        return 1.0 if not n else 0.0
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    common, at_s, total = 0, 0, 0.0
    for depth, doc in enumerate(long, start=1):
        if depth <= s:
            mate = short[depth - 1]
            seen_short.add(mate)
            common += (mate in seen_long) + (doc in seen_short)
            at_s = common
        else:
            common += doc in seen_short
            total += at_s * (depth - s) / (s * depth) * p**depth
        seen_long.add(doc)
        total += common / depth * p**depth
    return (1 - p) / p * total + ((common - at_s) / n + at_s / s) * p**n


def top_overlap(left: Sequence[str], right: Sequence[str], k: int) -> float:
    """Return the share of the first `k` results that both rankings have; of shorter lists, of the longer one."""
    first, second = set(left[:k]), set(right[:k])
    size = max(len(first), len(second))
    return len(first & second) / size if size else 1.0
