"""What runs left in their folders: the state that they ended with, and the rows of metrics.csv."""

from __future__ import annotations

import csv

import torch


def last(folder):
    """The run's last checkpoint."""
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def end_state(folder):
    """What two runs that did the same end with."""
    state = last(folder)
    return {key: state[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")}


def same(one, other):
    """Compare nested states; returns the path of the first difference, or None."""
    if isinstance(one, torch.Tensor):
        return None if torch.equal(one, other) else ""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        found = {key: same(one[key], other[key]) for key in one}
        return next((f"{key}.{where}" for key, where in found.items() if where is not None), None)
    if isinstance(one, list | tuple):
        return next((f"{i}.{w}" for i, w in enumerate(map(same, one, other)) if w is not None), None)
    return None if one == other else ""


def cells(folder):
    """The rows of metrics.csv as they are written, without what was not measured."""
    with (folder / "metrics.csv").open() as file:
        return [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def rows(folder):
    """The same as numbers."""
    return [{key: float(cell) for key, cell in row.items()} for row in cells(folder)]


def column(folder, key):
    """The steps at which it was measured, and what was found."""
    return [(int(row["step"]), float(row[key])) for row in cells(folder) if key in row]


def but_for_times(folder):
    """The rows of metrics.csv but for times: a run that finds the lists of another spends none on mining."""
    return [
        {key: cell for key, cell in row.items() if not key.endswith(("/seconds", "_per_second"))}
        for row in cells(folder)
    ]
