"""Colours of a running molecule in a real JupyterLab: what the model says of atoms reaches the page, and soon."""

import json
import time

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import so3lab
from so3lab.pretrained import DownloadError

pytest.importorskip("playwright")
from tests.browser.test_dynamics_panel import VIEW, painted

CELL = """import so3lab
panel = so3lab.widgets.DynamicsPanel({model!r}, {structure!r}, height=360)
panel.control.friction_per_ps = 20.0
panel"""
SOON_S = 15.0
"""From the click to the first colours beside a simulation on a busy core, compilation included; else 2 to 6 s."""
# Strongly coloured pixels of the drawing by hue: red is oxygen's own, the others are those of the scales.
HUES = """selector => {
  const canvas = document.querySelector(selector + ' canvas'), copy = new OffscreenCanvas(canvas.width, canvas.height);
  const pen = copy.getContext('2d'), found = {red: 0, orange: 0, green: 0, blue: 0};
  pen.drawImage(canvas, 0, 0);
  const pixels = pen.getImageData(0, 0, copy.width, copy.height).data;
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, g, b, alpha] = pixels.slice(i, i + 4), high = Math.max(r, g, b), span = high - Math.min(r, g, b);
    if (alpha < 250 || span < 60) continue;
    const hue = 60 * (high === r ? (6 + (g - b) / span) % 6 : high === g ? 2 + (b - r) / span : 4 + (r - g) / span);
    if (hue < 10 || hue > 350) found.red += 1;
    else if (hue > 20 && hue < 48) found.orange += 1;
    else if (hue > 60 && hue < 185) found.green += 1;
    else if (hue > 195 && hue < 240) found.blue += 1;
  }
  return found;
}"""
FEW, MANY = 20, 150
"""Pixels at the edges of something else, and those of an atom."""


def hues(notebook) -> dict[str, int]:
    return notebook.page.evaluate(HUES, VIEW)


def shown(notebook) -> list[float]:
    """The numbers by which atoms are coloured now."""
    return notebook.ask("panel.viewers[0].latest.get('values', __import__('numpy').zeros(0)).tolist()")


def colour_by(notebook, name: str, unit: str) -> float:
    """Choose a colour by a click; seconds until its legend and its numbers are there."""
    scale = notebook.page.locator(".so3-scale").first
    notebook.page.locator(".so3-stage").first.hover()
    began = time.monotonic()
    notebook.page.get_by_label("colour by").first.select_option(name)
    notebook.wait_until(
        lambda: scale.is_visible() and "waiting" not in (words := scale.inner_text()) and f"{name}{unit}" in words,
        f"colours by {name}",
        seconds=120,
    )
    seconds = time.monotonic() - began
    first = shown(notebook)
    notebook.wait_until(lambda: shown(notebook) != first, f"{name} that follows the atoms")
    notebook.rest()
    return seconds


def start(notebook) -> None:
    notebook.run_all(seconds=180)
    notebook.page.locator("button:has-text('Start')").first.click()
    notebook.wait_until(
        lambda: notebook.ask("panel.live is not None and panel.live.frames() > 5"), "frames", seconds=240
    )
    notebook.wait_until(lambda: painted(notebook) > 0, "a molecule", seconds=60)


def test_colours_of_a_bundled_model_arrive_soon_and_follow_the_atoms(lab, browser):
    cell = CELL.format(model="ethanol", structure="ethanol")
    with lab.open(browser, new_notebook(cells=[new_code_cell(cell)]), "colours") as notebook:
        start(notebook)
        # For a moment an atom may hide behind others.
        notebook.wait_until(lambda: hues(notebook)["red"] > MANY, "oxygen is red")
        assert hues(notebook)["green"] < FEW
        few = notebook.canvases(VIEW)[0].painted
        assert colour_by(notebook, "attention", "") < SOON_S
        notebook.wait_until(lambda: hues(notebook)["green"] > MANY, "atoms in the colours of attention")
        notebook.wait_until(lambda: hues(notebook)["red"] < FEW, "no atom in the colour of its element")
        notebook.wait_until(lambda: notebook.canvases(VIEW)[0].painted > few + 300, "bonds of attention")
        notebook.picture("colours-attention", ".so3-stage")
        assert notebook.ask("len(panel.viewers[0].latest['links'])") > 10
        for name, unit in (("atomic energy", " (eV)"), ("force", " (eV/Å)"), ("speed", " (Å/fs)")):
            assert colour_by(notebook, name, unit) < SOON_S
            notebook.wait_until(lambda: hues(notebook)["red"] < FEW, "no atom in the colour of its element")
            notebook.picture(f"colours-{name.replace(' ', '-')}", ".so3-stage")
        assert not notebook.ask("'links' in panel.viewers[0].latest")
        notebook.page.get_by_label("colour by").first.select_option("element")
        notebook.wait_until(lambda: hues(notebook)["red"] > MANY, "oxygen is red again")
        assert notebook.failures() == []
        assert notebook.errors == []


@pytest.fixture(scope="module")
def acetate(lab, browser):
    """Acetate with SO3LR, from a SMILES that was typed into the form."""
    try:
        so3lab.load("so3lr")
    except DownloadError as error:
        pytest.skip(f"SO3LR's published weights cannot be had here: {error}")
    cell = CELL.format(model="ethanol", structure="ethanol")
    with lab.open(browser, new_notebook(cells=[new_code_cell(cell)]), "acetate") as notebook:
        notebook.run_all(seconds=180)
        for label, words in (("Model", "so3lr"), ("Molecule", "smiles:CC(=O)[O-]")):
            field = notebook.page.get_by_label(label, exact=True)
            field.fill(words)
            field.press("Tab")
        start_again = notebook.page.locator("button:has-text('Start')").first
        notebook.wait_until(start_again.is_enabled, "a button that starts", seconds=120)
        start_again.click()
        formula = "panel.live.replicas.structures[0].get_chemical_formula()"
        notebook.wait_until(
            lambda: notebook.ask(f"panel.live is not None and {formula} == 'C2H3O2'"), "acetate", seconds=240
        )
        notebook.wait_until(lambda: notebook.ask("panel.live.frames() > 5"), "frames", seconds=240)
        yield notebook
        assert notebook.failures() == []
        assert notebook.errors == []


def test_a_smiles_moves_under_so3lr_with_its_charge(acetate):
    assert acetate.ask("panel.live.replicas.structures[0].info['charge']") == -1
    before, frames = acetate.canvases(VIEW)[0].sum, acetate.ask("panel.live.frames()")
    acetate.wait_until(lambda: acetate.canvases(VIEW)[0].sum != before, "another picture")
    acetate.wait_until(lambda: acetate.ask("panel.live.frames()") > frames + 50, "frames", seconds=60)
    assert 50 < acetate.ask("float(panel.live.table()['temperature'].iloc[-40:].mean())") < 900
    assert acetate.ask("panel.job.state") == "running"


def test_charges_and_attention_of_so3lr_arrive_soon(acetate):
    assert colour_by(acetate, "charge", " (e)") < SOON_S
    acetate.wait_until(lambda: hues(acetate)["orange"] > MANY, "oxygen, which is negative")
    acetate.wait_until(lambda: hues(acetate)["red"] < FEW, "no atom in the colour of its element")
    charges = np.array(shown(acetate))
    assert abs(charges.sum() + 1) < 1e-3
    symbols = json.loads(
        acetate.answer("import json; print(json.dumps(panel.live.replicas.structures[0].get_chemical_symbols()))")
    )
    assert max(q for q, symbol in zip(charges, symbols, strict=True) if symbol == "O") < -0.2
    acetate.picture("colours-charge", ".so3-stage")
    for name, unit in (("attention", ""), ("atomic energy", " (eV)")):
        assert colour_by(acetate, name, unit) < SOON_S
        acetate.wait_until(lambda: hues(acetate)["red"] < FEW, "no atom in the colour of its element")
        acetate.picture(f"colours-so3lr-{name.replace(' ', '-')}", ".so3-stage")


def test_colours_of_a_paused_molecule_leave_its_forces_drawn(acetate):
    acetate.page.locator("button:has-text('Pause')").first.click()
    acetate.wait_until(lambda: acetate.ask("panel.job.state") == "paused", "the pause")
    acetate.page.locator(".so3-stage").first.hover()
    acetate.page.get_by_role("button", name="draw forces as arrows").first.click()
    names = "sorted(panel.viewers[0].drawn)"
    acetate.wait_until(lambda: "arrows" in acetate.ask(names), "arrows")
    acetate.page.get_by_label("colour by").first.select_option("charge")
    acetate.wait_until(lambda: {"arrows", "values"} <= set(acetate.ask(names)), "arrows and colours")
    assert {"arrows", "values"} <= set(acetate.settled(lambda: acetate.ask(names), "what is drawn"))
    acetate.picture("colours-paused", ".so3-stage")
