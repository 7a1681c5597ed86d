"""Libraries that pages draw with: held once per kernel, found by what every anywidget has."""

import gzip
import re
import threading

import pytest
from so3lab_widgets import Viewer
from so3lab_widgets.packed_script import PackedScript, with_libraries
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.viewer.ngl import ngl_script
from so3lab_widgets.viewer.page import page_module

NAME = "a library of this test"


@pytest.fixture(autouse=True)
def _forget():
    yield
    PackedScript._held.pop(NAME, PackedScript()).close()


def of_test() -> PackedScript:
    return PackedScript.of(NAME, lambda: b"export default 1;")


def test_it_holds_what_it_was_given_and_is_made_once():
    assert gzip.decompress(of_test().packed) == b"export default 1;"
    assert of_test() is of_test()
    assert of_test() is not PackedScript.of(NAME + ", another", lambda: b"")


def test_a_closed_one_is_made_again():
    before = of_test()
    before.close()
    assert of_test() is not before
    assert of_test().comm is not None


def test_many_threads_share_one():
    made: list[PackedScript] = []
    threads = [threading.Thread(target=lambda: made.append(of_test())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.model_id for one in made}) == 1


def test_all_viewers_of_a_kernel_draw_with_one_ngl_of_some_hundred_kilobytes():
    first, second = Viewer(), Viewer()
    assert first._source == second._source
    held = next(one for one in PackedScript._held.values() if one.model_id == first._source)
    assert gzip.decompress(held.packed) == ngl_script().encode()
    assert 200_000 < len(held.packed) < 600_000
    first.close()
    second.close()


@pytest.mark.parametrize("module", [page_module(), str(LinkedFigure._esm)], ids=["viewer", "figure"])
def test_pages_need_nothing_but_models_by_name(module):
    """Where there is more, nglview's own extension, it is used."""
    assert with_libraries("") in module
    assert set(re.findall(r"manager\.(\w+)", module)) <= {"get_model", "loadClass"}
    assert module.count("loadClass") == 2 * ("if (manager.loadClass) {" in module)
    assert not re.search(r"\b(jupyterapp|requirejs|IPython)\b", module)
