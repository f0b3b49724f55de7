"""What this machine must have for a run, looked at before anything is read: devices, models, folders to write to."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.encoders.hub import check_hub
from hardneg.encoders.pretrained import locate
from hardneg.errors import ConfigError
from hardneg.preflight.computing_type import check_float16
from hardneg.preflight.writable import check_writable


def check_machine(cfg: DictConfig) -> None:
    """Raise `ConfigError` for devices, models or folders that a config names and that cannot be had here.

    For the machine of the run itself: a sweep for SLURM is checked on one that need not have a GPU.
    """
    node = classes.plain(cfg)
    check_folders(node)
    if "trainer" in node:
        check_accelerator(node["trainer"])
        if node["trainer"].get("compile"):
            check_compiler()
        if _gpu() is None:
            check_float16(str(node["trainer"].get("precision", "auto")))
    if "device" in node:
        check_device(node["device"])
    check_pretrained(node)


def check_accelerator(trainer: dict[str, Any]) -> None:
    """Raise `ConfigError` for an accelerator that Lightning does not find here, or for more devices than there are."""
    name, devices = trainer.get("accelerator"), trainer.get("devices", "auto")
    if not isinstance(name, str) or name == "auto":
        kind = _gpu() if name == "auto" and isinstance(devices, list | tuple) else None
        if kind is None:
            return
    else:
        kind = _gpu() if name == "gpu" else name
        if kind is None:
            raise ConfigError(
                "trainer.accelerator=gpu: there is no GPU that torch can use here; take trainer.accelerator=auto"
            )
    if kind not in AcceleratorRegistry.available_accelerators():
        known = ", ".join(sorted({"auto", "gpu", *AcceleratorRegistry.available_accelerators()}))
        raise ConfigError(f"trainer.accelerator={name} is unknown; there are {known}")
    accelerator = AcceleratorRegistry[kind]["accelerator"]
    if not accelerator.is_available():
        raise ConfigError(f"trainer.accelerator={name}: there is none here; take trainer.accelerator=auto")
    try:
        accelerator.parse_devices(accelerator.auto_device_count() if devices == "auto" else devices)
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"trainer.devices={devices}: {reason}; there are {accelerator.auto_device_count()} here, or take"
            " trainer.devices=auto"
        ) from error


def check_compiler() -> None:
    """Raise `ConfigError` where what torch.compile writes, for a CPU or a GPU, cannot be built."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    missing = []
    if shutil.which(name) is None:
        missing.append(f"a C++ compiler ({name}, or another one named by CXX)")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        missing.append("Python's headers (Python.h, as in python3-dev)")
    if missing:
        raise ConfigError(
            f"trainer.compile=true: torch.compile needs {' and '.join(missing)}, which this machine lacks; install"
            " what is missing, or leave trainer.compile=false"
        )


def _gpu() -> str | None:
    """The accelerator that `gpu` stands for here."""
    found = [kind for kind in ("cuda", "mps") if AcceleratorRegistry[kind]["accelerator"].is_available()]
    return next(iter(found), None)


def check_device(name: str) -> None:
    """Raise `ConfigError` for a device that torch does not know or that is not here."""
    if name == "auto":
        return
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = "there is no GPU that torch can use here"
        if not str(name).startswith("cuda") or torch.cuda.is_available():
            reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"device={name}: {reason}; take device=cpu or auto") from error


def check_pretrained(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a pretrained model that is neither a folder here nor to be had from the hub."""
    for path, inner in classes.targets(node):
        for key in ("model", "init"):
            name = inner.get(key)
            if not isinstance(name, str) or not str(inner["_target_"]).startswith("hardneg."):
                continue
            try:
                if not Path(found := locate(name)).is_dir():
                    check_hub(found, inner.get("revision"))
            except ConfigError as error:
                raise ConfigError(f"{path}.{key}={name}: {error}") from error


def check_folders(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a folder that a config wants written and that cannot be."""
    at_home = {"data.cache": (node.get("data") or {}).get("cache")}  # where a ~ is read as a shell does
    at_home |= {f"logger.{name}.dir": (one or {}).get("dir") for name, one in (node.get("logger") or {}).items()}
    wanted = {"cache": node.get("cache")} | {key: os.path.expanduser(one) for key, one in at_home.items() if one}
    if "rebuild" in node:  # for an index that is built; one that is only searched may lie where nothing can be written
        wanted["index.path"] = (node.get("index") or {}).get("path")
    for key, folder in wanted.items():
        if folder:
            check_writable(folder, key)
    if path := (node.get("export") or {}).get("path"):
        check_writable(path, "export.path", is_file=True)
