"""What the system does not let a command read or write is told by its path, without a traceback."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from hardneg import cli
from hardneg.errors import UserError
from hardneg.system.refused_path import refused_path


def refusal(number, path="out/model"):
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal(errno.EACCES), "out/model: Permission denied; look at its permissions, or name another"),
        (refusal(errno.EROFS, b"out"), "out: Read-only file system; look at its permissions, or name another"),
        (refusal(errno.ENAMETOOLONG), "out/model: File name too long; name another"),
        (refusal(errno.ENOENT), None),
        (OSError(errno.EACCES, "Permission denied"), None),
        (ValueError("Permission denied"), None),
    ],
)
def test_which_path_and_why(error, said):
    assert refused_path(error) == said


def test_a_command_ends_with_it(monkeypatch, capsys):
    def export(*_):
        raise refusal(errno.EACCES)

    monkeypatch.setattr(cli, "_run", export)
    monkeypatch.setattr(sys, "argv", ["hardneg", "export", "run", "out/model"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and isinstance(ended.value.__cause__, UserError)
    assert capsys.readouterr().err.startswith("hardneg export: out/model: Permission denied")
