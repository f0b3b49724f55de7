"""A full disk is told with the folder that is on it."""

from __future__ import annotations

import errno
import os
import shutil
from types import SimpleNamespace

import torch

from hardneg.system.full_disk import no_room


def test_a_full_disk_is_named(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    room = {tmp_path / "cache": 10, tmp_path / "run": 10**12}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**12, free=room[folder]))
    folders = {"cache": tmp_path / "cache", "run folder": tmp_path / "run", "index": None}
    says = no_room(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), folders)
    assert f"(cache {tmp_path}/cache): [Errno 28] No space left" in says and "hardneg cache prune" in says
    assert caplog.records[-1].levelname == "DEBUG" and caplog.records[-1].exc_info  # the traceback, for who asks for it
    assert f"cache {tmp_path}/cache" in no_room(RuntimeError("PytorchStreamWriter failed writing file"), folders)
    assert no_room(ValueError("a slip"), folders) is None
    assert no_room(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), folders) is None
    assert no_room(FileNotFoundError(2, "x"), folders) is None
    room[tmp_path / "cache"] = 10**12
    assert no_room(RuntimeError("a shape"), folders) is None
    cut = no_room(OSError("921984 requested and 262112 written"), folders)  # numpy's, when others freed some since
    assert "GiB free" in cut and "921984 requested" in cut
    assert "GiB free" in no_room(OSError(errno.EDQUOT, "quota"), folders)  # of a quota the disk knows nothing


def test_a_file_system_without_a_size_is_not_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=0, free=0))
    assert no_room(RuntimeError("a shape"), {"run folder": tmp_path}) is None
