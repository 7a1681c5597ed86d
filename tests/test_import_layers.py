"""Dependencies point one way: notebooks → widgets → so3lab. This reads every import statement."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UI = {"ipywidgets", "nglview", "plotly", "IPython", "anywidget", "so3lab_widgets"}
COMPUTE = {"jax", "jaxlib", "flax", "optax", "orbax"}
MAY_OPEN_WIDGETS = {Path("so3lab/widgets.py"), Path("so3lab/app")}
"""The lazy ``so3lab.widgets`` and the command line; both import the user interface only when asked."""


def imported_names(path: Path) -> Iterator[str]:
    """First part of every module that a file imports, at any depth, dynamic imports by literal name included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(value.value).split(".")[0] for value in node.args if isinstance(value, ast.Constant))


def may_open_widgets(path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return any(relative == allowed or allowed in relative.parents for allowed in MAY_OPEN_WIDGETS)


@pytest.mark.parametrize(("folder", "forbidden"), [("so3lab", UI), ("widgets", COMPUTE)])
def test_layers_do_not_mix(folder, forbidden):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        allowed = {"so3lab_widgets"} if may_open_widgets(path) else set()
        wrong = (forbidden - allowed) & set(imported_names(path))
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_every_way_to_import_is_seen(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "import plotly.io\ndef f():\n    from IPython.display import display\n"
        "    importlib.import_module('nglview.widget')\n"
    )
    assert set(imported_names(file)) == {"plotly", "IPython", "nglview"}


@pytest.mark.parametrize(
    ("module", "unwanted"), [("so3lab", UI | COMPUTE), ("so3lab_widgets.figures", COMPUTE | {"nglview"})]
)
def test_importing_costs_only_what_is_used(module, unwanted):
    code = f"import sys, {module}; print(*sorted({unwanted!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_the_widgets_have_a_name_in_the_library():
    code = "from so3lab.widgets import Viewer; import so3lab, so3lab_widgets; print(so3lab.widgets is so3lab_widgets)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"
