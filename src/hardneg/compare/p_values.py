"""How a p-value is written beside what is concluded from it."""

from __future__ import annotations

from hardneg.compare.statistics import ALPHA


def written(p: float, level: float = ALPHA, digits: int = 2, form: str = "g") -> str:
    """Write a p-value in so many digits, significant ones or (`form` is f) decimals; in more where it would mislead.

    One below `level` is never rounded up to it, as the AMA Manual of Style has it: "0.05" beside "better" would say
    that the difference is significant and that it is not.
    """
    while p < level <= float(f"{p:.{digits}{form}}"):
        digits += 1
    return f"{p:.{digits}{form}}"
