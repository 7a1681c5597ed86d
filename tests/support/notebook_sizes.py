"""Notebooks as tests run them: the cell tagged ``parameters``, as papermill calls it, has smaller sizes."""

import ast
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SIZES = {
    "01_train_and_run": """train_frames, size, minutes, steps = 100, "tiny", 0.02, 400
limits = dynamics.Limits(None, None, None)  # so small a model holds no bonds""",
    "02_pretrained_so3lr": "steps, train_frames, epochs = 400, 20, 4",
    "03_is_it_stable": "ps, cold_steps, peptide_steps = 0.5, 4_800, 400",
    "04_watch_and_steer_md": "first_ps = hot_ps = pulled_ps = recorded_ps = 0.05",
    "05_minima": "proposals, lowest, strange = 64, 1, 1",
    "06_browse_minima": "minutes = 0.1",
    "08_train_and_compare": """few_frames, many_frames, valid_frames, evaluated_frames = 40, 40, 20, 50
length, unit = 2, "epochs\"""",
    "09_the_lab": "hot_ps, relaxed_frames, old_frames = 0.2, 2, 30",
}
"""By the name of a notebook, what stands in its ``parameters`` while it is tested; others have none."""


def quick_notebook(name: str) -> nbformat.NotebookNode:
    """A notebook with the sizes of tests.

    Raises:
        ValueError: If its parameters are not those that the tests replace.
    """
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    sizes = SIZES.get(name)
    if [assigned(cell.source) for cell in tagged] != ([] if sizes is None else [assigned(sizes)]):
        raise ValueError(
            f"{name} must have one cell tagged parameters that assigns {sorted(assigned(sizes or ''))}, and got "
            f"{[sorted(assigned(cell.source)) for cell in tagged]}; bring SIZES up to date"
        )
    for cell in tagged:
        cell.source = sizes
    return notebook


def assigned(source: str) -> set[str]:
    """Names that code assigns."""
    stored = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
    return {node.id for node in stored if isinstance(node.ctx, ast.Store)}
