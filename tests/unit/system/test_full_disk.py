"""A full disk is told with the folder that is on it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from types import SimpleNamespace

import pytest
import torch

from hardneg.cli import main
from hardneg.data.readers import arrow_columns
from hardneg.errors import UserError
from hardneg.system.full_disk import TEMPORARY, no_room, temporary_folder


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


def test_a_full_temporary_folder_is_named_with_what_moves_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_folder() == str(tmp_path)
    room = {tmp_path: 10**12, str(tmp_path): 10}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**12, free=room[folder]))
    folders = {"cache": tmp_path, TEMPORARY: temporary_folder()}
    none = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")  # Python tries to write
    for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), none):
        says = no_room(error, folders)
        assert no_room(RuntimeError("a shape"), folders) is None, "others fill it, too"
        assert f"(temporary folder {tmp_path})" in says and "or set TMPDIR=DIR in the environment; the same" in says


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("jobs", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
        ("import", RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")),  # torch.save
    ],
)
def test_every_command_tells_a_full_disk_in_a_line(command, error, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise error

    monkeypatch.setattr("hardneg.cli._command_module", lambda name: SimpleNamespace(main=full))
    monkeypatch.setattr("sys.argv", ["hardneg", command, str(tmp_path), "out"])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code == 2 and told.startswith(f"hardneg {command}: no room left on the disk (")
    assert told.count("\n") == 1 and "temporary folder" in told


def test_texts_that_find_no_room_while_they_are_read_name_the_folder(tmp_path, monkeypatch):
    def full():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(UserError, match=f"^{tmp_path}: no room for the texts.*set TMPDIR to a folder"):
        arrow_columns._File()
