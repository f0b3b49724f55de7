"""What a checkpoint was trained on, for a command that takes one and was not told what data it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from hardneg.config import started_with
from hardneg.config.command_words import as_value, in_shell, is_data, key_of
from hardneg.config.composition import keys_given
from hardneg.errors import ConfigError
from hardneg.runs.saved_config import DATA_PLACES, read_config

DEFAULT = "pydocs"  # of every command


def check_data_named(cfg: DictConfig) -> None:
    """Raise `ConfigError` where nothing names data, and the checkpoint's run was trained on others than the default.

    The default would be taken in their place. The message has words that name the run's own.
    """
    given = keys_given()
    if not cfg.get("ckpt_path") or not given or any(map(is_data, given)):
        return
    folder = Path(cfg.ckpt_path).resolve().parent.parent
    if HydraConfig.get().runtime.choices.get("data") != DEFAULT or not (folder / started_with.CONFIG).is_file():
        return  # data that an experiment names; a checkpoint that lies by itself
    run: Any = OmegaConf.to_container(read_config(folder), resolve=False)
    if (target := str(run["data"]["_target_"])) == cfg.data["_target_"]:
        return
    words = in_shell(_words(folder, run["data"])) or target.rpartition(".")[2]
    raise ConfigError(
        f"name the data: {cfg.ckpt_path} was trained on {words}, and without a word data={DEFAULT} would be taken"
    )


def _words(folder: Path, data: dict[str, Any]) -> list[str]:
    """The run's own words about data, with whole paths; words made of its config where its own cannot be typed here."""
    places = {f"data.{name}": f"data.{name}={as_value(data[name])}" for name in DATA_PLACES if data.get(name)}
    kind = started_with.of_hydra(folder, "hydra.runtime.choices.data")
    if kind not in GlobalHydra.instance().config_loader().get_group_options("data"):  # of the run's own configs
        return list(places.values())
    named = [places.get(key_of(word), word) for word in started_with.words_of(folder) if is_data(word)]
    return named or [f"data={kind}", *places.values()]
