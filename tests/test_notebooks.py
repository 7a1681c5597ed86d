"""Notebooks run from top to bottom with the sizes of tests, lead to each other, and are stored without outputs."""

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebook_sizes import NOTEBOOKS as FOLDER
from notebook_sizes import SIZES, quick_notebook

from tests.browser.conftest import chromium

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
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


@every_notebook
def test_notebook_leads_to_another_one_and_has_no_switches_for_tests(path):
    cells = nbformat.read(path, as_version=4).cells
    linked = re.findall(r"\]\(([^)#]+\.ipynb)\)", cells[-1].source)
    assert linked
    assert all((FOLDER / name).is_file() for name in linked)
    assert not any(word in cell.source for cell in cells for word in ("FAST", "environ"))
    assert quick_notebook(path.stem).cells


def test_parameters_that_the_tests_do_not_know_are_noticed(monkeypatch):
    monkeypatch.setitem(SIZES, "02_pretrained_so3lr", "steps, epochs = 1, 2")
    with pytest.raises(ValueError, match=r"one cell tagged parameters that assigns \['epochs', 'steps'\], and got"):
        quick_notebook("02_pretrained_so3lr")


@pytest.mark.notebook
@every_notebook
def test_notebook_runs(path, tmp_path, request):
    if chromium() and path.stem in shown_in_a_browser(request.session.items):
        pytest.skip(f"{path.name} runs in JupyterLab in tests/browser/test_notebook_renders.py")
    notebook = quick_notebook(path.stem)
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
