"""The bar of a training."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hardneg.training.callbacks.console import Bar


@pytest.mark.parametrize(("epochs", "shown"), [(2, "Epoch 2/2"), (-1, "Epoch 2"), (None, "Epoch 2")])
def test_its_epochs_count_from_1_as_the_lines_above_it_do(epochs, shown):
    bar = Bar()
    bar._trainer = SimpleNamespace(max_epochs=epochs)
    assert bar._get_train_description(1) == shown
