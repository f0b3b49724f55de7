"""What splits are called: ours are train, dev and test, and the names that others give them are read as these."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLITS = ("train", "dev", "test")
ALSO_DEV = ("validation", "valid", "val")

# As words in the names of files of pairs, where "eval" is what a model is chosen by.
IN_FILE_NAMES = {name: name for name in SPLITS} | dict.fromkeys(ALSO_DEV, "dev")
IN_FILE_NAMES |= {"training": "train", "eval": "dev", "testing": "test"}

# As words in the names of files of judgements: docdev and dev2 (MS MARCO), testA (MIRACL), test2019 (TREC). "eval"
# keeps its name: in MS MARCO it is a third set beside dev and test.
IN_JUDGEMENTS = re.compile(rf"(?:doc)?(train|dev\d?|{'|'.join(ALSO_DEV)}|test[a-z]?|test\d{{4}}|eval)")


def split_name(name: str) -> str:
    """Return our name of a split: `validation`, `valid` and `val` are `dev`, others keep theirs."""
    return "dev" if name in ALSO_DEV else name


def split_of_judgements(words: Sequence[str]) -> str | None:
    """Return the split that the words in the name of a file of judgements say, `dev_small` too; None without one."""
    found = next((match[1] for word in words if (match := IN_JUDGEMENTS.fullmatch(word))), None)
    if found is None:
        return None
    return split_name(found) + ("_small" if "small" in words else "")
