"""The study of a search, as Optuna keeps it: opened by the sweep, and by the run of each trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hardneg.errors import UserError

SAMPLERS = {
    "tpe": "TPESampler", "random": "RandomSampler", "gp": "GPSampler", "cmaes": "CmaEsSampler", "qmc": "QMCSampler",
}  # fmt: skip
PRUNERS = {
    "none": "NopPruner", "median": "MedianPruner", "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner",
}  # fmt: skip
JOURNAL = "study.log"  # in the sweep's folder, where no database is named


def open_study(facts: dict[str, Any], folder: Path) -> Any:
    """Open the study of a search, or begin it; raises `UserError` where Optuna is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UserError("a search or a race needs Optuna: pip install 'hardneg[search]'") from error
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = facts["storage"] or JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    study = optuna.create_study(
        storage=storage,
        study_name=facts["study"] or folder.name,
        direction="maximize",
        pruner=_pruner(optuna, facts),
        load_if_exists=True,
    )
    # Another seed for another start, or it would choose again what it has chosen.
    sampler = getattr(optuna.samplers, SAMPLERS[facts["sampler"]])
    study.sampler = sampler(seed=facts["seed"] + len(study.get_trials(deepcopy=False)))
    return study


def _pruner(optuna: Any, facts: dict[str, Any]) -> Any:
    kind = getattr(optuna.pruners, PRUNERS[facts["pruner"]])
    if facts["pruner"] == "median":
        return kind(n_startup_trials=4, n_warmup_steps=facts["warmup_evaluations"])
    if facts["pruner"] == "percentile":
        return kind(25.0, n_startup_trials=4, n_warmup_steps=facts["warmup_evaluations"])
    return kind()
