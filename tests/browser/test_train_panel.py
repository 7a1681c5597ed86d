"""The training panel in a real JupyterLab: train, click what stands out, load the page again; and how it looks."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import VIEWER, Notebook
from tests.browser.test_linked import use_theme

CELL = """import so3lab
panel = so3lab.widgets.TrainPanel("ethanol", preset="tiny", height=340)
panel"""
CURVES = ".js-plotly-plot .scatterlayer .js-line"
SIDEWAYS = "(one => one.scrollWidth - one.clientWidth)(document.querySelector('.jp-OutputArea-output'))"
EPOCHS = 100_000
"""More than anybody waits for."""


def press(notebook: Notebook, words: str) -> None:
    """Press the first button of just these words, with an icon or not."""
    exactly = re.compile(rf"^\s*{re.escape(words)}\s*$")
    notebook.page.locator("button:visible").filter(has_text=exactly).first.click()


def click(notebook: Notebook, box: dict) -> None:
    """Point at the top of something that Plotly has drawn, and click it when Plotly has seen the pointer."""
    x, y = box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 6)  # bars go on below what is in sight
    notebook.page.mouse.move(x - 15, y)
    notebook.page.mouse.move(x, y)
    notebook.settled(lambda: notebook.page.locator(".hoverlayer .hovertext").count(), "what is pointed at")
    notebook.page.mouse.click(x, y)
    notebook.rest()


def picture(notebook: Notebook) -> int:
    found = notebook.canvases(VIEWER)
    return found[0].sum if found else 0


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(CELL)]), "train", width=1400) as opened:
        opened.run_all(seconds=180)
        opened.page.wait_for_selector(".js-plotly-plot .barlayer .point")
        opened.molecules(1, seconds=90, selector=VIEWER)
        yield opened
        assert opened.failures() == []
        assert opened.errors == []
        opened.run_code("panel.close()")


def fits(notebook: Notebook, name: str) -> None:
    """Pictures at two widths, one in each theme; nothing sticks out sideways."""
    for width, theme in ((1400, "Dark"), (1000, "Light")):
        notebook.page.set_viewport_size({"width": width, "height": 1100 if width > 1200 else 1700})
        use_theme(notebook, theme)
        notebook.settled_picture(f"training-{name}-{theme.lower()}-{width}", ".jp-CodeCell >> nth=0")
        assert notebook.page.evaluate(SIDEWAYS) <= 1
    notebook.page.set_viewport_size({"width": 1400, "height": 1100})


def test_an_outlier_that_is_clicked_shows_its_structure(notebook):
    before = picture(notebook)
    notebook.page.locator(".so3-table [role=row]", has_text="force on").first.click()
    worst = notebook.ask("int(panel.data.outliers['frame'].iloc[0])")
    notebook.wait_until(lambda: notebook.ask("panel.view.viewer.frame") == worst, "the frame that stands out most")
    notebook.wait_until(lambda: picture(notebook) != before, "another picture")
    assert notebook.ask("panel.code_line.code") == f"panel.show_frame({worst})"
    fits(notebook, "data")


def test_a_click_on_the_last_bar_of_energies_shows_a_frame_that_it_counts(notebook):
    notebook.run_code("panel.show_frame(0)")
    bar = notebook.page.locator(".js-plotly-plot .barlayer .point").last

    def shown() -> bool:
        bar.scroll_into_view_if_needed()
        click(notebook, bar.bounding_box())
        return "frames with" in notebook.ask("panel.data.message.sentence")

    notebook.wait_until(shown, "a frame of the last bar")
    energy = "float(panel.data.frames['relative_energy'].iloc[panel.view.shown])"
    bars = "so3lab.datasets.energy_distribution(panel.data.frames)"
    assert notebook.ask(f"{energy} >= float({bars}['low'].iloc[-1])")


def test_curves_grow_and_the_error_falls(notebook):
    press(notebook, "Train")
    for label, value in (("Training frames", "60"), ("Validation frames", "20"), ("Length", str(EPOCHS))):
        field = notebook.page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
    notebook.page.locator("select", has_text="minutes").select_option("epochs")
    notebook.wait_until(
        lambda: (
            notebook.ask("[panel.form.fields[one].value for one in ('train', 'valid', 'length', 'unit')]")
            == [60, 20, EPOCHS, "epochs"]
        ),
        "what was typed",
    )
    press(notebook, "Start")
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 2, "two curves", seconds=180)
    drawn = "document.querySelector('.js-plotly-plot').data[1]"
    points = notebook.page.evaluate(f"{drawn}.x.length")
    notebook.wait_until(lambda: notebook.page.evaluate(f"{drawn}.x.length") > points, "longer curves", seconds=60)
    notebook.wait_until(
        lambda: notebook.page.evaluate(f"(y => y[y.length - 1] < 0.7 * y[0])({drawn}.y)"),
        "a smaller error",
        seconds=120,
    )
    assert notebook.ask("panel.job.state") == "running"
    fits(notebook, "curves")


def test_a_page_that_is_loaded_again_shows_the_run_that_goes_on(notebook):
    before = notebook.ask("panel.run.report.epoch")
    notebook.save()
    notebook.rest()
    notebook.page.goto(notebook.page.url.replace("?reset", "").replace("&reset", ""))
    notebook.wait_for_kernel()
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 2, "both curves again", seconds=120)
    assert notebook.ask("panel.job.state") == "running"
    assert notebook.ask("panel.run.report.epoch") > before
    drawn = "document.querySelector('.js-plotly-plot').data[1].x.at(-1)"
    newest = notebook.page.evaluate(drawn)
    notebook.wait_until(lambda: notebook.page.evaluate(drawn) > newest, "a curve that grows", seconds=60)


def test_a_stopped_run_keeps_its_best_model_which_is_evaluated_by_clicks(notebook):
    press(notebook, "Stop")
    notebook.wait_until(lambda: notebook.ask("panel.job.state") == "stopped", "the end", seconds=60)
    assert notebook.ask("so3lab.load(panel.run.folder / 'model.so3.safetensors').metadata['epoch']") > 0
    press(notebook, "Evaluate")  # the part
    at_most = notebook.page.get_by_label("at most", exact=True)
    at_most.fill("60")
    at_most.press("Tab")
    press(notebook, "Evaluate model")
    notebook.wait_until(lambda: notebook.ask("panel.parity.found is not None"), "an evaluation", seconds=180)
    notebook.page.wait_for_selector(".js-plotly-plot .scatterlayer")
    assert notebook.ask("set(panel.parity.found.structures['part']) == {'held out'}")
    press(notebook, "Frames")
    point = notebook.page.locator(".js-plotly-plot .scatterlayer .point")
    notebook.wait_until(lambda: point.count() == 60, "a point for each frame")
    tallest = min(range(60), key=lambda number: point.nth(number).bounding_box()["y"])
    box = point.nth(tallest).bounding_box()
    worst = notebook.ask("int(panel.parity.found.structures.set_index('frame')['force_mae_meV_A'].idxmax())")

    def shown() -> bool:
        click(notebook, box)
        return notebook.ask("panel.view.shown") == worst

    notebook.wait_until(shown, "the frame that is predicted worst")
    assert notebook.ask("panel.view.arrows.value") == "both"
    notebook.wait_until(lambda: notebook.ask("len(panel.view.viewer.latest.get('arrows', ()))") == 18, "two an atom")
    legend = notebook.page.locator(".so3-viewer").first
    notebook.wait_until(lambda: {"reference", "predicted"} <= set(legend.inner_text().split()), "what the colours mean")
    fits(notebook, "errors")


def go_on(notebook: Notebook) -> None:
    """Go on with the run by clicks, and wait for a later epoch than there was before."""
    press(notebook, "Runs")
    notebook.page.locator(".so3-table [role=row]", has_text="run-1").first.click()
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 1, "the curve of the run", seconds=60)
    before = notebook.ask("int(panel.runs()['epochs'].iloc[0])")
    press(notebook, "Go on")
    notebook.wait_until(
        lambda: notebook.ask(f"panel.run.report is not None and panel.run.report.epoch > {before}"), "epochs", 180
    )
    assert notebook.ask("panel.job.error") is None
    assert notebook.ask("(panel.curve()['epoch'].diff().dropna() == 1).all().item()"), "no epoch is missing"


def test_a_run_is_listed_and_goes_on(notebook):
    press(notebook, "Runs")
    notebook.page.locator(".so3-table [role=row]", has_text="run-1").first.click()
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 1, "the curve of the run")
    fits(notebook, "runs")
    go_on(notebook)


def test_a_kernel_that_dies_costs_a_few_seconds_of_training(notebook):
    reached = notebook.ask("panel.run.report.epoch")
    notebook.page.evaluate("async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    notebook.wait_for_kernel()
    notebook.run_all(seconds=180)
    notebook.page.wait_for_selector(".js-plotly-plot .barlayer .point")
    go_on(notebook)
    first = notebook.ask("panel.run.report.epoch - panel.job.items + 1")
    assert 1 < first <= reached + 100, "it went on from a checkpoint"
    # The page's widgets of the dead kernel may have had something to say yet, which the new one cannot understand.
    notebook.errors[:] = [error for error in notebook.errors if "Comm not found" not in error]
    press(notebook, "Stop")
    notebook.wait_until(lambda: notebook.ask("panel.job.ended"), "the end", seconds=60)


def test_a_second_run_of_the_model_in_hand_is_drawn_by_element_and_compared(notebook):
    press(notebook, "Fine-tune it")
    notebook.wait_until(lambda: notebook.ask("panel.part.value") == "Train", "the fields of a run")
    length = notebook.page.get_by_label("Length", exact=True)
    length.fill("3")
    length.press("Tab")
    press(notebook, "Start")
    notebook.wait_until(lambda: notebook.ask("panel.job.state") == "finished", "three epochs", seconds=180)
    notebook.page.locator("select:visible", has_text="forces by element").select_option("forces by element")
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 6, "two curves for each of three elements")
    names = notebook.page.evaluate("[...document.querySelector('.js-plotly-plot').data].map(one => one.name)")
    assert {name.split()[0] for name in names} == {"H", "C", "O"}
    fits(notebook, "by-element")
    press(notebook, "Runs")
    rows = notebook.page.locator(".so3-table [role=row]", has_text="run-")
    notebook.wait_until(lambda: rows.count() == 2, "two runs")
    for number in range(2):
        rows.nth(number).locator("input[type=checkbox]").click()
    notebook.wait_until(lambda: notebook.page.locator(CURVES).count() == 2, "a curve of each run")
    assert sorted(notebook.ask("panel.runs_part.chosen")) == ["run-1", "run-2"]
    fits(notebook, "compared")


def test_the_model_in_hand_is_saved_and_becomes_that_of_the_session(notebook):
    entry = notebook.ask("[words for words, (what, _) in panel.saving.menu.options if what == 'model'][0]")
    notebook.page.get_by_label("Save", exact=True).select_option(label=entry)
    field = notebook.page.get_by_label("as file", exact=True)
    field.fill("mine")
    field.press("Tab")
    notebook.wait_until(lambda: notebook.ask("panel.saving.path.value") == "mine", "the name of the file")
    press(notebook, "Save")
    notebook.wait_until(lambda: "Wrote mine.so3" in notebook.ask("panel.saving.message.sentence"), "a file")
    forces = "(panel.data.dataset[0]).forces.tolist()"
    assert notebook.ask(f"so3lab.load('mine.so3.safetensors'){forces} == panel.hand.present(){forces}")
    press(notebook, "Use this model")
    notebook.wait_until(lambda: notebook.ask("panel.shared.potential is panel.hand.potential"), "the session's model")
    assert notebook.ask("panel.message.wrong") is False
