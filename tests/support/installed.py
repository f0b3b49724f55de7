"""Packages as `pip install` leaves them, without pip: a folder on the path with a .dist-info."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from hardneg.config import studies


def install(site, name):
    """Write down in `site` that a package of this name is a study of hardneg's."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{studies.GROUP}]\n{name} = {name}\n")
    forget()


def forget():
    """Look again for what is installed."""
    studies.packages.cache_clear()
    studies.conf_folders.cache_clear()


@contextmanager
def on_the_path(site):
    """Let Python find what is in `site`, and no longer afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        forget()
        yield
    forget()
