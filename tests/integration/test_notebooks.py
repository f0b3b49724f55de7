"""The notebooks run from top to bottom, and git holds them without outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import warm
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from patience import patience

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


SAYS = {  # what the story hangs on
    "compare_strategies": "in_batch+random-infonce",
    "look_at_negatives": "hidden",
    "quickstart": "better than BM25",
    "write_a_source": "BROKEN careless-never_draws_a_known_positive",
}


def stem(path):
    return path.stem


@pytest.fixture(scope="module")
def kernel(tmp_path_factory, zygote):
    """One kernel for all of them, and a warm one: importing takes longer than most of their cells."""
    home = tmp_path_factory.mktemp("notebooks")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    environment |= {"HOME": str(home), "HARDNEG_CACHE": str(home / "cache"), "HARDNEG_NOTEBOOK_DATA": "toy"}
    environment |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "IPYTHONDIR": str(home / "ipython")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm.WarmPopen, "zygote", zygote, raising=False)
        patch.setattr("jupyter_client.launcher.Popen", warm.WarmPopen)
        manager, client = start_new_kernel(
            kernel_name="python3", env=environment, cwd=str(home), extra_arguments=["--HistoryManager.enabled=False"]
        )
        yield manager, client
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_what_notebooks_import_prints_nothing(tmp_path):
    """In a process of its own, as the kernel below has imported it before its cells do."""
    cells = [cell.source for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    lines = {
        line for cell in cells for line in cell.splitlines() if line.startswith(("import hardneg", "from hardneg"))
    }
    assert lines
    done = subprocess.run([sys.executable, "-c", "\n".join(sorted(lines))], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_a_notebook_runs(path, kernel, tmp_path):
    manager, channels = kernel
    notebook = nbformat.read(path, as_version=4)
    fresh = nbformat.v4.new_code_cell(f"%reset -f\nimport os\nos.chdir({str(tmp_path)!r})")
    notebook.cells.insert(0, fresh)
    client = NotebookClient(notebook, km=manager, timeout=int(patience(600)))
    client.kc = channels
    client.execute(reset_kc=False, cleanup_kc=False)
    if folder := os.environ.get("HARDNEG_TEST_NOTEBOOKS"):  # to look at them: jupyter nbconvert --to html
        nbformat.write(notebook, Path(folder) / path.name)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("name") == "stderr"], "nothing for stderr's red box"
    assert SAYS[path.stem] in str(outputs)
    assert any({"image/png", "text/html"} & output.get("data", {}).keys() for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_git_holds_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None, f"clear the outputs of {path.name}"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "/home/" not in path.read_text() and "/work/" not in path.read_text()


def test_each_has_a_parameter_cell_and_a_title():
    assert [path.stem for path in NOTEBOOKS] == list(SAYS)
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
        assert any("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells)
