"""The run of a cell is known by what the page sends with it; elsewhere there is none."""

from types import SimpleNamespace

from so3lab_widgets.running import cell
from so3lab_widgets.running.cell import running_cell


def asked(monkeypatch, request):
    monkeypatch.setattr(cell, "get_ipython", lambda: SimpleNamespace(get_parent=lambda: request))
    return running_cell()


def test_a_cell_has_one_name_and_each_run_another(monkeypatch):
    first, again = (
        asked(monkeypatch, {"header": {"msg_id": run}, "metadata": {"cellId": "cell"}}) for run in ("1", "2")
    )
    assert first.cell == again.cell
    assert first.run != again.run


def test_pages_that_name_no_cells_and_plain_python_have_none(monkeypatch):
    assert running_cell() is None
    assert asked(monkeypatch, {"header": {"msg_id": "1"}, "metadata": {}}) is None
    assert asked(monkeypatch, {}) is None
