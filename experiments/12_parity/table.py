"""One csv and one markdown table from the peers' rows: table.py FOLDER CSV MARKDOWN; fails where two differ."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

PEERS = (
    "flag_embedding",
    "sentence_transformers",
    "tevatron",
    "lightning_ir",
    "ms_swift",
    "pytorch_metric_learning",
    "papers",
    "sentence_transformers_mining",
    "nemo",
    "metrics",
    "sentence_transformers_folders",
)


def number(value: str) -> str:
    """Two digits, or nothing."""
    return f"{float(value):.1g}" if value else ""


def holds(row: dict[str, str]) -> bool:
    """Whether a row's differences are rounding."""
    return all(float(row[key]) <= float(row["allowed"]) for key in ("loss", "gradient") if row[key])


def main(folder: Path, table: Path, page: Path) -> int:
    """Gather what the peers wrote; a peer that wrote nothing is named."""
    rows, missing = [], []
    for peer in PEERS:
        path = folder / f"{peer}.csv"
        if path.exists():
            with path.open(newline="") as file:
                rows += csv.DictReader(file)
        else:
            missing.append(peer)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "| against | what | ours, as typed | numbers | value | gradient | what differs on purpose |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [
            f"{row['peer']} {row['version']}".strip(),
            row["what"],
            f"`{row['here']}`" if row["here"] else "",
            row["values"],
            number(row["loss"]),
            number(row["gradient"]),
            row["on_purpose"],
        ]
        if not holds(row):
            cells[1] = f"**differs:** {cells[1]}"
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nDid not run here: {', '.join(missing)}."] if missing else []
    page.write_text("\n".join(lines) + "\n")
    apart = sum(not holds(row) for row in rows)
    sys.stdout.write(f"{len(rows)} rows, {apart} differ, {len(missing)} peers did not run\n")
    return int(bool(apart or missing))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
