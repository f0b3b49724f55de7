"""A device that is there, in the stand-in's place: what is close to the CPU's numbers counts as the same."""

from __future__ import annotations

import collections
import warnings

import numpy as np
import torch
from standin import where

SYNCHRONIZING = "called a synchronizing CUDA operation"
FAR = 0.02  # kernels add up in another order, and Adam enlarges what that makes of tiny gradients


class Real:
    """Within it `waits` counts, by line, what `torch.cuda.set_sync_debug_mode` sees the host wait for."""

    exact = False

    def __init__(self, kind):
        self.device = torch.device(kind, 0) if kind == "cuda" else torch.device(kind)
        self.waits = collections.Counter()

    def __enter__(self):
        if self.device.type == "cuda":
            self._caught = warnings.catch_warnings()
            self._caught.__enter__()
            warnings.filterwarnings("always", message=SYNCHRONIZING)
            self._show, warnings.showwarning = warnings.showwarning, self._heard
            self._mode = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("warn")
        return self

    def __exit__(self, *error):
        if self.device.type == "cuda":
            torch.cuda.set_sync_debug_mode(self._mode)
            self._caught.__exit__(*error)

    def _heard(self, message, category, filename, lineno, file=None, line=None):
        if SYNCHRONIZING in str(message):
            prefix, place = where(__file__)
            self.waits[f"{prefix}wait at {place}"] += 1
        else:
            self._show(message, category, filename, lineno, file, line)

    def trainer(self):
        """The Trainer's arguments for training there."""
        return {"accelerator": "gpu" if self.device.type == "cuda" else "cpu", "devices": 1}

    def holds(self, tensor):
        """Whether a tensor lies there."""
        return tensor.device.type == self.device.type

    def same(self, here, there, rtol=0.0, atol=0.0):
        """Compare losses or weights with the CPU's, by how far all of them together are apart."""
        here, there = here.detach().double().cpu(), there.detach().double()
        apart, size = (here - there).norm(), there.norm()
        assert apart <= FAR * size + 1e-6, f"{apart:.3g} apart, of {size:.3g}"

    def same_ranking(self, here, there):
        """Compare ids and scores with the CPU's; of documents whose scores are all but equal any order will do."""
        finite = np.isfinite(there.scores)
        assert (np.isfinite(here.scores) == finite).all()
        np.testing.assert_allclose(here.scores[finite], there.scores[finite], rtol=1e-3, atol=1e-3)
        # Padding aside, the two differ only where a neighbour's score is as good.
        assert np.mean(here.ids == there.ids) > 0.9
