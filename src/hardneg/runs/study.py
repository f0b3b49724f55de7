"""The study of a search, as Optuna keeps it: opened by the sweep, and by the run of each trial."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hardneg.config.database_password import with_password, without_password
from hardneg.errors import UserError

SAMPLERS = {
    "tpe": "TPESampler", "random": "RandomSampler", "gp": "GPSampler", "cmaes": "CmaEsSampler", "qmc": "QMCSampler",
}  # fmt: skip
PRUNERS = {
    "none": "NopPruner", "median": "MedianPruner", "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner",
}  # fmt: skip
JOURNAL = "study.log"  # in the sweep's folder, where no database is named


def check_optuna() -> None:
    """Raise `UserError` where Optuna is not installed."""
    if find_spec("optuna") is None:
        raise UserError("a search or a race needs Optuna: pip install 'hardneg[search]'")


def open_study(facts: dict[str, Any], folder: Path) -> Any:
    """Open the study of a search, or begin it; raises `UserError` where Optuna is not installed."""
    check_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=_database(without_password(str(facts["storage"]))) if facts["storage"] else _journal(folder / JOURNAL),
        study_name=facts["study"] or folder.name,
        direction="maximize",
        pruner=_pruner(optuna, facts),
        load_if_exists=True,
    )
    # Another seed for another start, or it would choose again what it has chosen.
    sampler = getattr(optuna.samplers, SAMPLERS[facts["sampler"]])
    study.sampler = sampler(seed=facts["seed"] + len(study.get_trials(deepcopy=False)))
    return study


def _journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    # The whole path: Optuna's lock is a link to it, and from a broken link it would not see that its holder is gone.
    return JournalStorage(JournalFileBackend(str(path.resolve())))


def _database(url: str) -> Any:
    """Open a database; raises `UserError` if that fails."""
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        # Asked before it is used: between two entries a run trains, and a server may have closed the connection.
        return RDBStorage(with_password(url), engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        driver = error.__cause__ or error
        raise UserError(
            f"storage={url} needs the database's driver ({driver}): for postgresql+psycopg://... pip install"
            " 'psycopg[binary]', for mysql+pymysql://... pip install pymysql"
        ) from error
    except ArgumentError as error:
        raise UserError(f"storage={url}: give a database's URL, as postgresql+psycopg://USER@HOST/DATABASE") from error
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"storage={url} cannot be opened: {why}") from error


def _pruner(optuna: Any, facts: dict[str, Any]) -> Any:
    kind = getattr(optuna.pruners, PRUNERS[facts["pruner"]])
    if facts["pruner"] == "median":
        return kind(n_startup_trials=4, n_warmup_steps=facts["warmup_evaluations"])
    if facts["pruner"] == "percentile":
        return kind(25.0, n_startup_trials=4, n_warmup_steps=facts["warmup_evaluations"])
    return kind()
