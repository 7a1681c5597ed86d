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


FLOORS = (
    {"units", "counting", "machine"},
    {"functions", "doctor", "trajectory"},
    {"structures"},
    {"datasets", "network", "observables"},
    {"engine", "labels", "frames"},
    {"potential"},
    {"attention"},
    {"pretrained", "training", "dynamics", "minimize", "atom_properties", "dipoles", "electrostatics"},
    {"stability", "cluster", "minima"},
    {"landscape"},
    {"app", "widgets", "__main__", "__init__"},
)
"""The wings of ``so3lab`` from the ground up: each imports from floors below its own, never from beside or above."""
WITHIN_A_FLOOR = {("__main__", "app")}


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


@pytest.mark.process
@pytest.mark.parametrize(
    ("module", "unwanted"), [("so3lab", UI | COMPUTE), ("so3lab_widgets.figures", COMPUTE | {"nglview"})]
)
def test_importing_costs_only_what_is_used(module, unwanted):
    code = f"import sys, {module}; print(*sorted({unwanted!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.process
def test_the_widgets_have_a_name_in_the_library():
    code = "from so3lab.widgets import Viewer; import so3lab, so3lab_widgets; print(so3lab.widgets is so3lab_widgets)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"


def modules_imported(path: Path, *, at_once: bool = False) -> Iterator[str]:
    """Dotted names of our modules that a file imports; ``at_once``: when it is imported itself, types left out."""
    tree = ast.parse(path.read_text())
    nodes = list(_run_at_import(tree.body)) if at_once else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in ("so3lab", "so3lab_widgets"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0].startswith("so3lab"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for part in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield from _run_at_import(getattr(node, part, []))


def _modules() -> dict[str, Path]:
    found = {}
    for top in (ROOT / "so3lab", ROOT / "widgets" / "so3lab_widgets"):
        for path in top.rglob("*.py"):
            parts = path.relative_to(top.parent).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


def wing(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_every_wing_has_its_floor():
    assert {wing(module) for module in MODULES if module.startswith("so3lab.") or module == "so3lab"} == set().union(
        *FLOORS
    )


def test_wings_import_downwards_only():
    """Imports within functions count as well, but for the command line and the lazy widgets."""
    floor_of = {name: number for number, names in enumerate(FLOORS) for name in names}
    wrong = []
    for module, path in MODULES.items():
        if not module.startswith("so3lab."):
            continue
        own = wing(module)
        for other in set(modules_imported(path)):
            if not other.startswith("so3lab.") or wing(other) == own or (own, wing(other)) in WITHIN_A_FLOOR:
                continue
            if floor_of[wing(other)] >= floor_of[own] and own != "app":
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_module_imports_itself_through_others():
    graph = {
        module: {other for other in modules_imported(path, at_once=True) if other in MODULES and other != module}
        for module, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())
