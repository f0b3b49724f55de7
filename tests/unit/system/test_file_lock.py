"""One process at a time, and whoever comes second is told so."""

import pytest
from filelock import FileLock, Timeout

from hardneg.errors import ConfigError, UserError
from hardneg.serving.index_folder import IndexFolder
from hardneg.system.file_lock import locked


def test_a_second_one_is_refused_while_the_first_is_at_work(tmp_path):
    path = tmp_path / ".lock"
    with (
        locked(path, AssertionError),
        pytest.raises(ConfigError, match="at work"),
        locked(path, lambda: ConfigError("at work")),
    ):
        raise AssertionError
    with locked(tmp_path / ".lock", AssertionError):
        pass


def test_a_timeout_of_what_is_done_meanwhile_is_not_told_as_this_locks(tmp_path):
    taken = FileLock(tmp_path / "other.lock")
    with taken, pytest.raises(Timeout), locked(tmp_path / ".lock", AssertionError):
        FileLock(tmp_path / "other.lock", timeout=0).acquire()


def test_indexing_that_waits_for_something_else_is_not_another_process(tmp_path):
    taken = FileLock(tmp_path / "other.lock")
    with taken, pytest.raises(Timeout), IndexFolder(tmp_path / "index").writing():
        FileLock(tmp_path / "other.lock", timeout=0).acquire()
    with (
        IndexFolder(tmp_path / "index").writing(),
        pytest.raises(UserError, match="another process is indexing here"),
        IndexFolder(tmp_path / "index").writing(),
    ):
        raise AssertionError
