"""Harvest (title, text) pairs from the documents of a set in BEIR layout, as a JSONL file that `hardneg train` reads.

A document without a title gives its first sentence and the rest. `--mixed 0.5` hands the texts of half of the pairs on
to one another, as noise whose amount is known; their lines say so (`mixed`), and nothing that trains reads it.
usage: python harvest.py DATA_FOLDER OUT.jsonl [--mixed SHARE]
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np


def title_and_text(document: dict) -> tuple[str, str]:
    """Return what stands over a text, and the text; both may be empty."""
    title, text = document.get("title", "").strip(), document["text"].strip()
    if title:
        return title, text
    sentence, _, rest = re.sub(r"([.?!]) (?=[A-Z])", "\\1\n", text, count=1).partition("\n")
    return sentence.strip(), rest.strip()


def main() -> None:
    """Write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mixed", type=float, default=0.0)
    given = parser.parse_args()
    with (given.data / "corpus.jsonl").open(encoding="utf-8") as file:
        pairs = [pair for line in file if all(pair := title_and_text(json.loads(line)))]
    random = np.random.default_rng(0)
    chosen = random.choice(len(pairs), round(given.mixed * len(pairs)), replace=False)
    texts = [text for _, text in pairs]
    for place, other in zip(chosen, np.roll(chosen, 1), strict=True):
        texts[place] = pairs[other][1]
    mixed = set(chosen.tolist())
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", encoding="utf-8") as file:
        for place, ((title, _), text) in enumerate(zip(pairs, texts, strict=True)):
            row = {"query": title, "positive": text, "mixed": place in mixed}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
