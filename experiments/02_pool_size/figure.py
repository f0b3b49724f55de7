"""Draw saturation.png from the committed SET.json files: nDCG@10 against the pool, a panel a set, a line a way."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
LOOKS = {
    "batch": ("larger batch, 3 epochs", "#1f4e79", "o"),
    "steps": ("larger batch, equal steps", "#6fa8dc", "s"),
    "moco": ("batch 128 and queue, momentum", "#c55a11", "^"),
    "xbm": ("batch 128 and queue, no momentum", "#7f7f7f", "v"),
}
SETS = [name for name in ("nl2bash", "squad-sent") if (HERE / f"{name}.json").exists()]


def main() -> None:
    """Draw one panel a set."""
    figure, panels = plt.subplots(1, len(SETS), figsize=(5 * len(SETS), 3.6), squeeze=False, layout="constrained")
    for panel, name in zip(panels[0], SETS, strict=True):
        points = [p for p in json.loads((HERE / f"{name}.json").read_text()) if p["metric"] == "ndcg@10"]
        for shift, (way, (label, colour, marker)) in enumerate(LOOKS.items()):
            own = [p for p in points if p["way"] == way]
            if not own:
                continue
            x = [p["pool"] * 2 ** (0.08 * (shift - 1.5)) for p in own]  # side by side, so that intervals can be read
            mean = [p["mean"] for p in own]
            error = [[p["mean"] - p["low"] for p in own], [p["high"] - p["mean"] for p in own]]
            panel.errorbar(x, mean, error, label=label, color=colour, marker=marker, ms=4, lw=1.2, capsize=2)
        panel.set_xscale("log", base=2)
        panel.set(title=name, xlabel="documents a query is set against", ylabel="test nDCG@10")
        panel.grid(alpha=0.3)
    panels[0][0].legend(fontsize=8, frameon=False)
    figure.savefig(HERE / "saturation.png", dpi=110)


if __name__ == "__main__":
    main()
