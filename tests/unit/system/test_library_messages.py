"""What libraries show on every run, and nobody needs to see."""

from __future__ import annotations

import importlib
import logging

import pytest

from hardneg.system.library_messages import silence_libraries
from hardneg.system.log_level import at_level


@pytest.fixture
def bars(monkeypatch):
    """Bars as they are in a process that imported transformers before anything of ours."""
    from transformers.utils import logging

    hub = importlib.import_module("huggingface_hub.utils.tqdm")
    monkeypatch.setattr(hub, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(hub, "progress_bar_states", {})
    monkeypatch.setattr(logging, "_tqdm_active", True)
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    return monkeypatch


def test_loading_a_model_shows_no_bar_also_where_transformers_came_first(bars, bert, capfd):
    from transformers import AutoModel

    AutoModel.from_pretrained(bert)
    assert "Loading weights" in capfd.readouterr().err
    silence_libraries()
    AutoModel.from_pretrained(bert)
    assert capfd.readouterr().err == ""


def test_who_wants_bars_sets_the_variable(bars):
    from transformers.utils import logging

    bars.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    silence_libraries()
    assert logging.is_progress_bar_enabled()


@pytest.mark.parametrize("name", ["httpx", "matplotlib.font_manager"])
def test_requests_to_a_server_and_a_first_search_for_fonts_are_not_told(name, monkeypatch):
    monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    silence_libraries()
    assert logging.getLogger(name).level == logging.WARNING and not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_what_lightning_says_is_in_the_log_also_where_it_came_first(monkeypatch, caplog):
    """In a notebook it is imported before logging is set up, and then keeps its lines from all others."""
    logger = logging.getLogger("lightning.pytorch")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(logger, "propagate", False)
    silence_libraries()
    logging.getLogger("lightning.pytorch.callbacks.early_stopping").info("did not improve")
    assert "did not improve" in caplog.text


@pytest.mark.parametrize(
    "variables", [{"LOCAL_RANK": "1"}, {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"}]
)
def test_what_all_ranks_find_in_the_data_is_told_by_the_first_of_them(variables, monkeypatch):
    """Each told of the rows that it had skipped, as Lightning started them; under SLURM each told everything."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with at_level("hardneg", logging.INFO), at_level("hardneg.data", logging.NOTSET):
        silence_libraries()
        assert not logging.getLogger("hardneg.data.readers.lines").isEnabledFor(logging.WARNING)
        own = logging.getLogger("hardneg.training.fit")
        assert own.isEnabledFor(logging.WARNING) and not own.isEnabledFor(logging.INFO)
