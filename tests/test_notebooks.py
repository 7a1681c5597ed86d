"""Notebooks run from top to bottom in their fast mode, and are stored without outputs."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.browser.conftest import chromium

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS_PER_CELL = 600

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def shown_in_a_browser(items) -> set[str]:
    """Names of the notebooks that this session's browser tests run."""
    shown = (item for item in items if item.path.name == "test_notebook_renders.py")
    return {item.callspec.params.get("name", "") for item in shown if hasattr(item, "callspec")}


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs, f"{path.name} has outputs; clear them before committing"
            assert cell.execution_count is None
    assert "widgets" not in notebook.metadata


@every_notebook
def test_notebook_tells_what_it_teaches_and_ends_with_an_exercise(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    assert "You will learn" in cells[0].source
    assert "Time" in cells[0].source
    assert "## Exercise" in cells[-1].source


@pytest.mark.notebook
@every_notebook
def test_notebook_runs(path, tmp_path, monkeypatch, request):
    if chromium() and path.stem in shown_in_a_browser(request.session.items):
        pytest.skip(f"{path.name} runs in JupyterLab in tests/browser/test_notebook_renders.py")
    monkeypatch.setenv("SO3LAB_FAST", "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        if error.ename == "DownloadError" and "CI" not in os.environ:
            pytest.skip(f"{path.name} fetches published weights, and this machine cannot: {error.evalue}")
        raise
