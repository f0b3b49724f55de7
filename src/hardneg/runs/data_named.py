"""What a checkpoint was trained on, for a command that takes one and was not told what data it is for."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from hardneg.config import started_with
from hardneg.config.command_words import as_value, in_shell, is_data, key_of
from hardneg.config.composition import keys_given
from hardneg.errors import ConfigError
from hardneg.runs.saved_config import read_config


def check_data_named(cfg: DictConfig) -> None:
    """Raise `ConfigError` where no word names data, and the checkpoint's run was trained on others than the default.

    The default would be taken in their place. The message has the words by which the run named its own.
    """
    given = keys_given()
    if not cfg.get("ckpt_path") or not given or any(map(is_data, given)):
        return
    folder = Path(cfg.ckpt_path).resolve().parent.parent
    if not (folder / started_with.CONFIG).is_file():
        return
    run = read_config(folder)
    own, default = (str(OmegaConf.select(one, "data._target_")).rpartition(".")[2] for one in (run, cfg))
    if own == default:
        return
    path = OmegaConf.select(run, "data.path")
    named = [word for word in started_with.words_of(folder) if is_data(word)]
    words = [f"data.path={as_value(path)}" if key_of(word) == "data.path" else word for word in named]
    raise ConfigError(
        f"name the data: {cfg.ckpt_path} was trained on {in_shell(words) or own}, and without a word"
        f" data={HydraConfig.get().runtime.choices['data']} would be taken"
    )
