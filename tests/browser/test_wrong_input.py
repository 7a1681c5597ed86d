"""Whatever is typed into a field of any panel, and whichever button is pressed then: a sentence, never a traceback."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook

# Errors of callbacks are no output of a cell: they go to IPython, to a log, or to the end of a thread.
MAKE = """import logging, threading, traceback
from so3lab_widgets import Lab
trouble = []
class Noted(logging.Handler):
    def emit(self, record):
        trouble.append(record.getMessage() + (traceback.format_exc() if record.exc_info else ""))
for name in ("", "Comm", "traitlets"):
    logging.getLogger(name).addHandler(Noted(logging.ERROR))
get_ipython().showtraceback = lambda *given, **options: trouble.append(traceback.format_exc())
threading.excepthook = lambda given: trouble.append("".join(traceback.format_exception(given.exc_value)))
lab = Lab("ethanol", "ethanol")
lab"""
PANELS = ("dynamics", "trajectory", "minima", "attention", "training")
WRONG = ("", "text", "-1", "1e308", "nan")
# Every field in sight gets these words, as if somebody had typed them and pressed Enter.
TYPE = """words => {
  const seen = [...document.querySelectorAll('.so3-panel input')].filter(one => one.offsetParent && !one.disabled
    && ['text', 'number', 'search', ''].includes(one.getAttribute('type') ?? ''));
  for (const one of seen) {
    one.focus();
    one.value = words;
    for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true}));
    one.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 13, bubbles: true}));
    one.blur();
  }
  return seen.length;
}"""
# Every button in sight that may be pressed, but for those that write films.
PRESS = """() => {
  const seen = [...document.querySelectorAll('.so3-panel button.jupyter-button')].filter(one => one.offsetParent
    && !one.disabled && !/Record/.test(one.textContent));
  for (const one of seen) one.click();
  return seen.map(one => one.textContent.trim());
}"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(MAKE)]), "wrong-input", width=1400) as opened:
        opened.run_all(seconds=180)
        opened.page.locator(".so3-stage:visible").first.wait_for()
        yield opened
        opened.run_code("lab.close()")


@pytest.fixture(autouse=True)
def nothing_said_yet(notebook):
    """What went wrong on one tab is no failure of the next."""
    notebook.answer("trouble.clear()")
    notebook.errors.clear()


def said(notebook: Notebook) -> list[str]:
    """What the page says at present, of things that go on and that went wrong."""
    return notebook.page.eval_on_selector_all(
        "[role=alert], [role=status]", "all => all.map(one => one.textContent.trim()).filter(Boolean)"
    )


@pytest.mark.parametrize("panel", PANELS)
def test_wrong_input_is_a_sentence_in_place(notebook, panel):
    notebook.run_code(f"lab.turn_to({panel!r})")
    notebook.wait_until(lambda: notebook.text_of("lab.shown") == repr(panel), "the tab")
    notebook.rest()
    for words in WRONG:
        assert notebook.page.evaluate(TYPE, words) > 0
        notebook.rest()
        notebook.page.evaluate(PRESS)
        notebook.rest()
        if notebook.text_of("lab.shown") != repr(panel):  # a button leads to another tab
            notebook.run_code(f"lab.turn_to({panel!r})")
        everything = " ".join(said(notebook))
        assert "Traceback" not in everything
        assert "Error:" not in everything
    assert notebook.text_of("trouble") == "[]"
    assert notebook.text_of("bool(lab.ended)") == "False"
    assert notebook.failures() == []
    assert notebook.errors == []


def test_what_goes_wrong_in_a_callback_would_be_seen(notebook):
    notebook.answer("lab.doors['dynamics'].on_click(lambda button: 1 / 0)\nlab.turn_to('training')")
    notebook.page.locator("button.jupyter-button:has-text('Dynamics'):visible").first.click()
    notebook.wait_until(lambda: "ZeroDivisionError" in notebook.text_of("trouble"), "an error that nobody caught")
