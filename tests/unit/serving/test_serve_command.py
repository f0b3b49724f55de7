"""hardneg serve, as far as it gets without serving: what it refuses to start with."""

from __future__ import annotations

import socket

import pytest

from hardneg.commands import serve
from hardneg.errors import ConfigError, UserError
from hardneg.serving.http.limits import Limits


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        *((name, 0) for name in ("max_batch", "waiting", "max_queries", "max_chars", "max_k")),
        *(("timeout", seconds) for seconds in (0.0, -1.0, float("inf"), float("nan"))),
    ],
)
def test_a_limit_that_cannot_be_is_named_by_its_option(limit, value):
    with pytest.raises(ConfigError, match=f"--{limit.replace('_', '-')}={value} must be"):
        Limits(**{limit: value})


def test_a_request_must_fit_into_a_batch():
    with pytest.raises(ConfigError, match="--max-queries=9 must be at most --max-batch=8"):
        serve.main(["index", "--max-queries", "9", "--max-batch", "8"])


def test_a_missing_package_is_named_with_the_extra(monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(UserError, match=r"needs uvicorn: pip install 'hardneg\[serve\]'"):
        serve.main(["index"])


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(tmp_path):
    pytest.importorskip("fastapi")
    index = tmp_path / "index"
    index.mkdir()
    (index / "live.json").write_text('{"live": ["build"]}')  # there is no such build: to load it would fail
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="in use; take others"):
        serve.main([str(index), "--port", str(taken.getsockname()[1])])
    for host, port in (("127.0.0.1", "70000"), ("no such host", "0")):
        with pytest.raises(UserError, match=f"cannot listen on --host={host} --port={port}"):
            serve.main([str(index), "--host", host, "--port", port])
    with pytest.raises(UserError, match="has no live index"):
        serve.main([str(tmp_path / "no-index"), "--port", "0"])


def test_every_limit_has_an_option_with_its_default(capsys):
    with pytest.raises(SystemExit):
        serve.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, default in vars(Limits()).items():
        assert f"--{name.replace('_', '-')} " in said and f"({default})" in said
