"""Figures that talk with Python, in a real JupyterLab: how soon they appear, and that clicks and curves arrive."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook

MAKE = """import numpy as np, plotly.graph_objects as go
from so3lab_widgets import figures
from so3lab_widgets.plots.linked_figure import LinkedFigure
seen = []
def curve(name):
    x = np.linspace(0, 10, 500)
    made = LinkedFigure([go.Scatter(x=x, y=np.sin(x), name=name)], {"height": 300, "hovermode": "x"})
    made.update_xaxes(title_text="time (ps)").update_yaxes(title_text=f"{name} (K)")
    made.data[0].on_click(lambda trace, points, state: points.xs and seen.append(("click", points.xs[0])))
    made.data[0].on_hover(lambda trace, points, state: points.xs and seen.append(("hover", points.xs[0])))
    return made
first = curve("first")
first"""
SECOND = "second = curve('second')\nsecond"
DRAWN = ".js-plotly-plot .main-svg .scatterlayer .js-line"


def curves(notebook: Notebook) -> list[str]:
    """Paths of the curves that are drawn."""
    return notebook.page.eval_on_selector_all(DRAWN, "all => all.map(one => one.getAttribute('d'))")


def middle(notebook: Notebook, number: int) -> tuple[float, float]:
    """The middle of a figure on the page."""
    place = notebook.page.locator(".js-plotly-plot .draglayer .nsewdrag").nth(number)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def use_theme(notebook: Notebook, name: str) -> None:
    notebook.page.evaluate(
        "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
        f"JupyterLab {name}",
    )
    light = "true" if name == "Light" else "false"
    notebook.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")


@pytest.fixture(scope="module")
def notebook(lab, browser):
    made = new_notebook(cells=[new_code_cell(MAKE), new_code_cell(SECOND)])
    with lab.open(browser, made, "linked", width=1000) as opened:
        opened.run_all(seconds=180)
        opened.wait_until(lambda: len(curves(opened)) == 2, "two curves", seconds=120)
        yield opened
        assert opened.failures() == []
        assert opened.errors == []


def test_the_second_figure_brings_no_second_plotly(notebook):
    assert notebook.page.evaluate("Object.keys(globalThis.so3labLibraries).length") == 1
    notebook.run_code("third = curve('third')")
    assert notebook.text_of("first.get_state('_source') == third.get_state('_source')") == "True"


@pytest.mark.parametrize("number", [0, 1])
def test_hover_and_click_reach_python(notebook, number):
    notebook.run_code("seen.clear()")
    x, y = middle(notebook, number)

    def tried(kind: str) -> bool:
        notebook.page.mouse.move(x - 30, y)
        notebook.page.mouse.move(x, y)
        notebook.rest()
        notebook.page.mouse.click(x, y)
        notebook.rest()
        return kind in notebook.text_of("seen")

    notebook.wait_until(lambda: tried("click") and tried("hover"), "a hover and a click in Python", seconds=30)
    assert abs(float(notebook.text_of("seen[-1][1]")) - 5) < 0.5


# Where the line over the first figure stands, in pixels of the page; null without one.
LINE = """() => {
  const line = document.querySelector('.so3-cursor');
  return line.hidden ? null : line.getBoundingClientRect().x + 1;
}"""


def test_a_line_follows_the_pointer_without_python(notebook):
    notebook.run_code("first.cursor_follows = True")
    x, y = middle(notebook, 0)

    for left in (x, x + 60):
        notebook.page.mouse.move(left, y)
        notebook.wait_until(
            lambda left=left: abs((notebook.page.evaluate(LINE) or 0) - left) < 3, "the line at the pointer"
        )
    assert notebook.text_of("first.cursor") == "None", "it is the page's own"
    notebook.page.mouse.move(5, 5)
    notebook.wait_until(lambda: notebook.page.evaluate(LINE) is None, "no line")
    notebook.run_code("first.cursor_follows, first.cursor = False, 5.0")
    notebook.wait_until(lambda: abs((notebook.page.evaluate(LINE) or 0) - x) < 3, "the line where Python puts it")
    notebook.run_code("first.cursor = None")


def test_the_kernel_knows_whether_a_figure_is_in_sight(notebook):
    hide = "shown => { document.querySelector('.js-plotly-plot').style.display = shown ? '' : 'none'; }"
    for shown in (False, True):
        notebook.page.evaluate(hide, shown)
        notebook.wait_until(lambda shown=shown: notebook.text_of("first.in_sight") == str(shown), "what is in sight")


def test_a_streamed_curve_is_painted(notebook):
    before, other = curves(notebook)
    notebook.run_code("first.stream(first.data[0].x, {'first': np.cos(first.data[0].x)})")
    notebook.wait_until(lambda: curves(notebook)[0] != before, "another curve")
    assert curves(notebook)[1] == other


def test_a_figure_is_as_wide_as_its_page(notebook):
    def width() -> float:
        return notebook.page.locator(".js-plotly-plot .main-svg").first.bounding_box()["width"]

    narrow = width()
    notebook.page.set_viewport_size({"width": 1900, "height": 1000})
    notebook.wait_until(lambda: width() > narrow + 300, "a wider figure")
    for theme in ("Dark", "Light"):
        use_theme(notebook, theme)
        notebook.picture(f"linked-{theme.lower()}", ".jp-Notebook")


def test_two_views_follow_and_one_may_go(notebook):
    notebook.page.evaluate(
        """async () => {
          const panel = window.jupyterapp.shell.currentWidget;
          await window.jupyterapp.commands.execute('notebook:insert-cell-below');
          panel.content.activeCell.model.sharedModel.setSource('second');
          await window.jupyterapp.commands.execute('notebook:run-cell');
        }"""
    )
    notebook.wait_until(lambda: len(curves(notebook)) == 3, "a second view of the second figure", seconds=60)
    notebook.run_code("second.stream(second.data[0].x, {'second': second.data[0].x})")
    notebook.wait_until(lambda: len(set(curves(notebook)[1:])) == 1, "the same curve in both views")
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-cell-output')")
    notebook.wait_until(lambda: len(curves(notebook)) == 2, "one view gone")
    before = curves(notebook)[1]
    notebook.run_code("second.stream(second.data[0].x, {'second': -second.data[0].y}, last=True)")
    notebook.wait_until(lambda: curves(notebook)[1] != before, "the other view still follows")


def test_a_page_loaded_again_shows_the_newest_curve(notebook):
    now = curves(notebook)
    notebook.run_code("first.stream(first.data[0].x, {'first': 0.1 * first.data[0].x ** 2}, last=True)")
    notebook.wait_until(lambda: curves(notebook)[0] != now[0], "another curve")
    newest = curves(notebook)
    notebook.save()
    notebook.page.goto(notebook.page.url.replace("?reset", "").replace("&reset", ""))
    notebook.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    notebook.wait_until(lambda: len(curves(notebook)) == 2, "both figures again", seconds=120)
    assert curves(notebook) == newest


# Lets whatever is drawn in the newest figure from now on end a moment later, as formulas and pictures in figures do.
SLOW = """() => {
  const plot = [...document.querySelectorAll('.js-plotly-plot')].at(-1);
  const late = new Promise(done => setTimeout(done, 1500)).then(() => { window.drawnLate = true; });
  Object.defineProperty(plot, '_promises', {get: () => [late], set: () => {}});
}"""


def test_a_figure_that_goes_while_it_is_drawn_leaves_no_error(notebook):
    before = len(curves(notebook))
    notebook.page.evaluate(SLOW)
    notebook.run_code("second.stream(second.data[0].x, {'second': second.data[0].x}, last=True); second.close()")
    notebook.wait_until(lambda: len(curves(notebook)) < before, "that it has gone")
    notebook.page.wait_for_function("window.drawnLate === true")
    notebook.rest()
    assert notebook.errors == []


def test_a_closed_figure_leaves_the_page(notebook):
    notebook.run_code("first.close()")
    notebook.wait_until(lambda: len(curves(notebook)) == 0, "no figure")
