"""What this machine does not have is refused by its key, before anything is read."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import torch
from confs import compose
from lightning.pytorch.accelerators import CUDAAccelerator

from hardneg.encoders import hub
from hardneg.errors import ConfigError
from hardneg.preflight.machine import check_folders, check_machine
from hardneg.preflight.writable import check_writable
from hardneg.system.cache_folder import cache_folder


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def unreachable(monkeypatch):
    """A hub whose machine answers nobody, asked by a client that is not offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    hub._problem.cache_clear()
    yield
    hub._problem.cache_clear()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trainer.accelerator=gpu"], "trainer.accelerator=gpu: there is no GPU"),
        (["trainer.accelerator=cuda"], "trainer.accelerator=cuda: there is none here"),
        (["trainer.accelerator=tpu"], "trainer.accelerator=tpu: there is none here"),
        (["trainer.accelerator=gpuu"], "trainer.accelerator=gpuu is unknown; there are auto, cpu, cuda, gpu"),
        (["trainer.accelerator=cpu", "trainer.devices=none"], "trainer.devices=none"),
        (["cache=/proc/nowhere"], "cache=/proc/nowhere: cannot write in /proc"),
        (["logger=wandb", "logger.wandb.dir=/proc/nowhere"], "logger.wandb.dir=/proc/nowhere: cannot write"),
        (["encoder=transformer", "encoder.model=./nowhere"], "encoder.model=./nowhere: there is no folder"),
        (["encoder.init=owner/none"], "encoder.init=owner/none: 'owner/none' is not in the cache, and HF_HUB_OFFLINE"),
        (
            ["negatives=bm25", "teacher=cross_encoder", "teacher.model=owner/none"],
            "teacher.model=owner/none: 'owner/none' is not in the cache",
        ),
    ],
    ids=" ".join,
)
def test_what_a_run_does_not_find_here(words, says, no_gpu):
    hub._problem.cache_clear()
    with pytest.raises(ConfigError) as raised:
        check_machine(compose(*words))
    assert says in str(raised.value)


@pytest.mark.parametrize("command", ["mine", "probe", "evaluate"])
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "gpu"])
def test_a_device_that_is_not_here(command, name, no_gpu):
    with pytest.raises(ConfigError, match=rf"device={name}: .*; take device=cpu or auto"):
        check_machine(compose(f"device={name}", *(["ckpt_path=x"] * (command == "evaluate")), name=command))


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: 2))
    monkeypatch.setattr("lightning.fabric.accelerators.cuda.num_cuda_devices", lambda: 2)
    for devices in ("2", "[1]", "auto", "-1"):
        check_machine(compose("trainer.accelerator=gpu", f"trainer.devices={devices}"))
    for devices in ("3", "[0,2]"):
        with pytest.raises(ConfigError, match=r"trainer.devices=.*there are 2 here"):
            check_machine(compose("trainer.accelerator=gpu", f"trainer.devices={devices}"))


def test_what_is_here_passes(bert):
    check_machine(compose("trainer.accelerator=cpu", "trainer.devices=2"))
    check_machine(compose("encoder=transformer", f"encoder.model={bert}"))
    check_machine(compose("device=cpu", name="mine"))


def test_a_hub_that_cannot_be_reached_is_asked_once(unreachable, caplog):
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"encoder.model=owner/name: .*cannot be reached.*hf download owner/name"):
        check_machine(compose("encoder=transformer", "encoder.model=owner/name"))
    assert time.monotonic() - started < 3 and not caplog.records


def test_a_model_in_the_hubs_cache_needs_no_hub(unreachable, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: "/cache/config.json")
    hub.check_hub("owner/name")


@pytest.mark.parametrize("missing", [False, True])
def test_the_answers_of_the_hub(missing, unreachable, monkeypatch):
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    def answer(*_, **__):
        kind = RepositoryNotFoundError if missing else HfHubHTTPError
        request = httpx.Request("HEAD", "http://hub")
        raise kind("no", response=httpx.Response(404 if missing else 503, request=request))

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answer)
    if missing:
        with pytest.raises(ConfigError, match="shows no model 'owner/name'"):
            hub.check_hub("owner/name")
    else:
        hub.check_hub("owner/name")  # busy: loading asks again


def test_a_look_that_is_killed_leaves_nothing_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("os.rmdir", lambda *_: None)  # it does not come to tidy up
    check_writable(tmp_path / "run", "hydra.run.dir")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_not_made_by_the_question(tmp_path):
    check_writable(tmp_path / "a" / "b", "hydra.run.dir")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"hydra.run.dir=.*/file/run: cannot write in .*/file \(Not a directory\)"):
        check_writable(tmp_path / "file" / "run", "hydra.run.dir")


def test_a_tilde_that_no_shell_has_expanded_is_refused_where_it_would_be_a_folder_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=re.escape(f"cache=~/x: write it in full, as cache={tmp_path}/x")):
        check_machine(compose("data=toy", "cache='~/x'"))
    with pytest.raises(ConfigError, match=re.escape(f"--to=~/x/a.ckpt: write it in full, as --to={tmp_path}/x/a.ckpt")):
        check_writable(Path("~/x/a.ckpt"), "--to", is_file=True)
    check_writable(Path("~nobody-of-this-name.ckpt"), "--to", is_file=True)  # no shell expands it either
    check_machine(compose("data=toy", f"cache={tmp_path}/x", "logger=wandb", "logger.wandb.dir='~/y'"))
    monkeypatch.setenv("HARDNEG_CACHE", "~/z")
    assert cache_folder() == tmp_path / "z"


def test_a_folder_that_an_earlier_version_called_tilde_goes_on_being_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~" / "x").mkdir(parents=True)
    check_machine(compose("data=toy", "cache='~/x'"))


@pytest.mark.parametrize("path", ["~/x/out.jsonl", "~/out.jsonl"])
def test_an_export_below_a_tilde_names_the_whole_path(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(ConfigError, match=f"export.path={path}: write it in full, as export.path=/home/me/.*jsonl;"):
        check_folders({"export": {"path": path}})


def test_what_torch_compile_needs_is_here_or_named(monkeypatch, tmp_path):
    cfg = compose("encoder=minilm", "trainer.compile=true", "trainer.accelerator=cpu")
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"trainer.compile=true: torch.compile needs a C\+\+ compiler"):
        check_machine(cfg)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(ConfigError, match=r"named by CXX\) and Python's headers"):
        check_machine(cfg)
