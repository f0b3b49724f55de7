"""A checkpoint that is being written when the process is killed leaves the one before it."""

from __future__ import annotations

import os
import shutil
import signal
from pickle import PicklingError

import lightning as L
import pytest
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from hardneg.training.whole_checkpoints import WholeCheckpoints, write_whole


@pytest.fixture
def other_disk(monkeypatch):
    """The temporary folder is on another disk, as a /tmp in memory is: nothing can be renamed from there."""
    rename = os.rename

    def refuse(source, target, **more):
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(18, "Invalid cross-device link")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", refuse)


def killed(work):
    """Do it in a process of its own; return the signal that ended that."""
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def half_written(monkeypatch):
    """Kill the process when a file is half written, whoever writes it."""
    save = torch.save

    def save_half(thing, where, **more):
        save(thing, where, **more)
        if isinstance(where, os.PathLike):
            os.truncate(where, os.path.getsize(where) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def copy_half(source, target, **more):
        with open(source, "rb") as file, open(target, "wb") as half:
            half.write(file.read()[: os.path.getsize(source) // 2])
            half.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(torch, "save", save_half)
    monkeypatch.setattr(shutil, "copyfile", copy_half)


def test_a_kill_in_the_middle_of_writing_leaves_the_earlier_checkpoint(tmp_path, monkeypatch, other_disk):
    io, path = WholeCheckpoints(), tmp_path / "checkpoints" / "last.ckpt"
    io.save_checkpoint({"step": 1}, path)
    with monkeypatch.context() as patch:
        half_written(patch)
        assert killed(lambda: io.save_checkpoint({"step": 2}, path)) == -signal.SIGKILL
    assert torch.load(path, weights_only=True) == {"step": 1}
    io.save_checkpoint({"step": 3}, path)
    assert torch.load(path, weights_only=True) == {"step": 3} and os.listdir(path.parent) == ["last.ckpt"]


def test_an_error_while_it_is_written_leaves_the_earlier_checkpoint(tmp_path):
    io, path = WholeCheckpoints(), tmp_path / "last.ckpt"
    io.save_checkpoint({"step": 1}, path)
    with pytest.raises((AttributeError, PicklingError), match="local"):  # the second from Python 3.14 on
        io.save_checkpoint({"no plain value": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"step": 1} and os.listdir(tmp_path) == ["last.ckpt"]


class Own(TorchCheckpointIO):
    """Somebody's own way to write them."""


@pytest.mark.parametrize(("given", "writes"), [([], WholeCheckpoints), ([Own()], Own)], ids=["none", "own"])
def test_a_trainer_writes_so_unless_it_was_given_another_way(given, writes):
    trainer = L.Trainer(accelerator="cpu", logger=False, plugins=given)
    write_whole(trainer)
    assert type(trainer.strategy.checkpoint_io) is writes
